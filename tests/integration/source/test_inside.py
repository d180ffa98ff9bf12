"""What lies inside is not reached by git: not by a name, a redirect or a submodule, nor by a name that changes."""

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from shared.addresses.git_uri import AllowedAddresses
from shared.errors import Code, InfrastructureError, UserError
from tests.support.engines import require
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.source.limits import SourceLimits
from worker.source.way_out.door import Door


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host") as server:
        yield server


@pytest.fixture
def iris(server: GitServer) -> RepositoryOnServer:
    return server.create("iris", {"MLproject": "name: iris\n"})


def make_source(tmp_path: Path, *hosts: str, private_networks: bool = False, **environ: str) -> GitSource:
    return GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset({"http", "https", "ssh"}),
        allowed_hosts=frozenset(hosts),
        private_networks=private_networks,
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ},
    )


def fetch(source: GitSource, uri: str) -> Checkout:
    return source.checkout(SourceRequest(uri, "main"), name="a-1", timeout_seconds=30)


def assert_refused(source: GitSource, uri: str, server: GitServer, code: Code = Code.INVALID_PARAMETER) -> None:
    """Refused with the setting's name, and the server was not asked."""
    server.requests.clear()
    with pytest.raises(UserError, match="inside this service's own network") as caught:
        fetch(source, uri)
    assert (caught.value.code, caught.value.facts["setting"]) == (code, "GIT_HOSTS")
    assert not server.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]", "localhost."])
def test_a_host_inside_is_not_asked_in_any_spelling(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path, host: str
) -> None:
    assert_refused(make_source(tmp_path), iris.uri.replace("127.0.0.1", host), server)
    assert_refused(make_source(tmp_path, private_networks=True), iris.uri.replace("127.0.0.1", host), server)


def test_a_name_that_leads_inside_is_not_asked(server: GitServer, iris: RepositoryOnServer, tmp_path: Path) -> None:
    name = socket.gethostname().lower()
    try:
        address = ip_address(socket.gethostbyname(name))
    except OSError:
        require(False, "a name of this machine that resolves")
        raise
    assert not address.is_global
    assert_refused(make_source(tmp_path), iris.uri.replace("127.0.0.1", name), server)
    assert_refused(make_source(tmp_path), f"git@{name}:a.git", server)


def test_a_redirect_and_a_submodule_lead_to_named_hosts_only(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    with GitServer(tmp_path / "host") as inner:
        server.behaviour.redirect_to = f"http://localhost:{inner.port}"
        with pytest.raises(UserError, match="'localhost'") as caught:
            fetch(make_source(tmp_path, "127.0.0.1"), iris.uri)
        server.behaviour.redirect_to = None
        assert (caught.value.code, caught.value.facts["setting"]) == (Code.INVALID_PARAMETER, "GIT_HOSTS")
        url = f"http://localhost:{inner.port}/iris.git"
        entry = f'[submodule "s"]\n\tpath = s\n\turl = {url}\n'
        iris.commit({".gitmodules": entry}, submodules={"s": iris.git("rev-parse", "main")})
        with pytest.raises(UserError, match=r"Submodule 's'.*'localhost'") as caught:
            fetch(make_source(tmp_path, "127.0.0.1"), iris.uri)
        assert caught.value.code is Code.INVALID_PROJECT
        assert not inner.requests


def test_no_proxy_is_no_way_around(server: GitServer, iris: RepositoryOnServer, tmp_path: Path) -> None:
    with GitServer(tmp_path / "host") as inner:
        server.behaviour.redirect_to = f"http://localhost:{inner.port}"
        with pytest.raises(UserError, match="'localhost'"):
            fetch(make_source(tmp_path, "127.0.0.1", no_proxy="*", NO_PROXY="*"), iris.uri)
        assert not inner.requests


def test_behind_the_operators_proxy_that_proxy_is_asked_and_no_redirect_followed(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    source = make_source(tmp_path, http_proxy=f"http://127.0.0.1:{server.port}")  # which answers any absolute address
    assert_refused(source, iris.uri, server)
    server.behaviour.redirect_to = f"http://127.0.0.1:{server.port}"
    with pytest.raises(UserError, match="redirects"):
        fetch(source, "http://git.invalid/iris.git")
    assert len(server.requests) == 1


def test_a_host_that_no_door_leads_to_is_unreachable_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"Could not resolve host no-such-host\.invalid") as caught:
        fetch(make_source(tmp_path), "https://no-such-host.invalid/a.git")
    assert caught.value.code is Code.GIT_UNREACHABLE


def ask(door: Door, url: str, proxy: str | None = None) -> int:
    """The status of a GET through the door."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": proxy or door.url}))
    try:
        with opener.open(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_the_door_connects_to_what_it_looked_at_however_often_a_name_changes(
    server: GitServer, iris: RepositoryOnServer
) -> None:
    url = iris.uri.replace("127.0.0.1", "git.invalid") + "/HEAD"
    named = AllowedAddresses(frozenset({"http"}), frozenset({"git.invalid"}))
    with Door(named, what="It", max_bytes=10**6, look_up=lambda _name, _port: ["127.0.0.1"]) as door:
        assert ask(door, url) == 200  # by the address that the look-up gave: the name has none
    unnamed = AllowedAddresses(frozenset({"http"}))
    with Door(unnamed, what="It", max_bytes=10**6, look_up=lambda _name, _port: ["127.0.0.1"]) as door:
        assert ask(door, url) == 403
        assert door.refusal is not None
    assert len(server.requests) == 1


def test_the_door_is_for_those_who_know_its_password(server: GitServer, iris: RepositoryOnServer) -> None:
    named = AllowedAddresses(frozenset({"http"}), frozenset({"127.0.0.1"}))
    with Door(named, what="It", max_bytes=10**6) as door:
        assert ask(door, f"{iris.uri}/HEAD", door.url.rpartition("@")[2]) == 407
        assert not server.requests


def test_more_than_may_come_in_does_not(server: GitServer) -> None:
    noise = server.create("noise", {"a": os.urandom(10**6)})
    source = GitSource(
        server.root / "mirrors",
        server.root / "work",
        allowed_schemes=frozenset({"http"}),
        allowed_hosts=frozenset({"127.0.0.1"}),
        limits=SourceLimits(max_files=100, max_bytes=10**5),
    )
    with pytest.raises(UserError, match="SOURCE_MAX_BYTES") as caught:
        fetch(source, noise.uri)
    assert caught.value.code is Code.SOURCE_TOO_LARGE
