"""Logins: as with git, a host is shown none before it asks, and then only its own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.addresses.git_uri import parse_git_uri
from shared.errors import AttemptError, Code, InfrastructureError, UserError
from tests.integration.source.private_host import fetch, gitmodules, make_source, with_submodule
from tests.support.servers.git_server import GitServer
from worker.source.checkout import SourceRequest

TOKEN = "glpat-s3cret"
PROJECT = {"MLproject": "name: iris\n"}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitServer]:
    """A host with public and private repositories, which refuses a login that it does not know even for public ones."""
    with GitServer(tmp_path / "git-host") as host:
        host.behaviour.logins = {"private": f"ci:{TOKEN}"}
        for name in ("public", "private"):
            host.create(name, PROJECT)
        yield host


@pytest.fixture
def other(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "other-host") as other:
        yield other


def as_user(host: GitServer, name: str, userinfo: str) -> str:
    return host.url(name).replace("://", f"://{userinfo}@")


def refusal(tmp_path: Path, address: str, *, kind: type[AttemptError] = UserError) -> AttemptError:
    with pytest.raises(kind) as caught:
        fetch(make_source(tmp_path), address)
    assert TOKEN not in str(caught.value) + repr(caught.value.facts)
    return caught.value


@pytest.mark.parametrize("userinfo", ["contoso", "jane.doe%40corp.example", f"ci:{TOKEN}", TOKEN, f":{TOKEN}"])
def test_a_host_that_asks_for_no_login_is_shown_none(host: GitServer, tmp_path: Path, userinfo: str) -> None:
    fetch(make_source(tmp_path), as_user(host, "public", userinfo))
    assert set(host.authorizations("public")) == {None}


@pytest.mark.parametrize("login", [f"ci:{TOKEN}", f"{TOKEN}:", f":{TOKEN}", f"{TOKEN}:x-oauth-basic"])
def test_a_host_that_asks_is_shown_the_login_at_the_cost_of_one_request(
    host: GitServer, tmp_path: Path, login: str
) -> None:
    host.behaviour.logins = {"private": login}
    fetch(make_source(tmp_path), as_user(host, "private", login.removesuffix(":")))
    fetch(make_source(tmp_path / "2"), host.url("public"))
    asked, *later = host.authorizations("private")
    assert asked is None
    assert None not in later
    assert len(later) == len(host.authorizations("public"))


def test_each_attempt_waits_to_be_asked(host: GitServer, tmp_path: Path) -> None:
    source = make_source(tmp_path)
    for _ in range(2):
        fetch(source, as_user(host, "private", f"ci:{TOKEN}"))
    seen = host.authorizations("private")
    assert [authorization is None for authorization in seen].count(True) == 2
    host.behaviour.logins = {"elsewhere": "x:y"}  # it was made public
    host.requests.clear()
    fetch(source, as_user(host, "private", f"ci:{TOKEN}"))
    assert set(host.authorizations("private")) == {None}


@pytest.mark.parametrize(
    ("userinfo", "says"),
    [
        ("contoso", "asks for a login to {uri}, and none came with it"),
        ("ci:wr0ng-t0ken", "refuses the login that came with {uri}: the token is wrong"),
    ],
)
def test_a_missing_and_a_wrong_login_are_told_apart(host: GitServer, tmp_path: Path, userinfo: str, says: str) -> None:
    error = refusal(tmp_path, as_user(host, "private", userinfo))
    assert error.code is Code.GIT_AUTH_FAILED
    assert says.format(uri=host.url("private")) in error.message
    assert "terminal prompts" not in error.message


def test_a_name_in_the_address_is_masked_nowhere(host: GitServer, tmp_path: Path) -> None:
    user = "contoso-data-science-team"
    for userinfo in (user, f"{user}:wr0ng-t0ken"):
        address = as_user(host, "private", userinfo).replace("/private", f"/private/{user}/_git")
        assert user in refusal(tmp_path, address).message


def test_a_redirect_is_followed_without_the_login(host: GitServer, other: GitServer, tmp_path: Path) -> None:
    other.create("private", PROJECT)
    host.behaviour.redirect_to = f"http://127.0.0.1:{other.port}"
    fetch(make_source(tmp_path), as_user(host, "private", f"ci:{TOKEN}"))
    assert {seen.authorization for seen in (*host.requests, *other.requests)} == {None}


def test_a_host_that_a_redirect_leads_to_asks_in_vain(host: GitServer, other: GitServer, tmp_path: Path) -> None:
    other.behaviour.logins = {"private": f"ci:{TOKEN}"}
    other.create("private", PROJECT)
    host.behaviour.redirect_to = f"http://127.0.0.1:{other.port}"
    error = refusal(tmp_path, as_user(host, "private", f"ci:{TOKEN}"))
    assert error.code is Code.GIT_AUTH_FAILED
    assert f"leads to http://127.0.0.1:{other.port}, which asks for a login" in error.message
    assert {seen.authorization for seen in (*host.requests, *other.requests)} == {None}


def test_a_host_that_redirects_after_the_login_takes_it_nowhere(
    host: GitServer, other: GitServer, tmp_path: Path
) -> None:
    host.behaviour.asks_first, host.behaviour.redirect_to = True, f"http://127.0.0.1:{other.port}"
    assert "may not follow" in refusal(tmp_path, as_user(host, "private", f"ci:{TOKEN}")).message
    assert not other.requests


def test_a_login_page_instead_of_a_question_is_shown_no_login(
    host: GitServer, other: GitServer, tmp_path: Path
) -> None:
    other.behaviour.page = b"<html>Sign in</html>"
    host.behaviour.login_at = f"http://127.0.0.1:{other.port}/users/sign_in"
    error = refusal(tmp_path, as_user(host, "private", f"ci:{TOKEN}"), kind=InfrastructureError)
    assert "did not ask for the login that came with the address" in error.message
    assert {seen.authorization for seen in (*host.requests, *other.requests)} == {None}


def test_a_login_for_one_port_is_not_shown_to_another_of_the_same_host(
    host: GitServer, other: GitServer, tmp_path: Path
) -> None:
    other.behaviour.logins = {"sub": f"ci:{TOKEN}"}
    sub = other.create("sub", {"a": "1"})
    host.behaviour.logins = {"super": f"ci:{TOKEN}"}
    with_submodule(host, sub.uri, sub.git("rev-parse", "main"))
    error = refusal(tmp_path, as_user(host, "super", f"ci:{TOKEN}"))
    assert error.code is Code.GIT_AUTH_FAILED
    assert "Submodule 'sub' of" in error.message
    assert "for its own host only" in error.message
    assert set(other.authorizations("sub")) == {None}


def test_a_public_submodule_of_a_private_repository_is_shown_no_login(host: GitServer, tmp_path: Path) -> None:
    host.behaviour.logins = {"super": f"ci:{TOKEN}"}
    sha = (host.root / "public.git" / "refs" / "heads" / "main").read_text().strip()
    with_submodule(host, as_user(host, "public", "contoso"), sha)
    checkout = fetch(make_source(tmp_path), as_user(host, "super", f"ci:{TOKEN}"))
    assert (checkout.folder / "sub" / "MLproject").is_file()
    assert set(host.authorizations("public")) == {None}


def test_a_login_of_the_projects_own_opens_its_submodule_and_what_is_in_it(
    host: GitServer, other: GitServer, tmp_path: Path
) -> None:
    other.behaviour.logins = {"sub": "project:0wn-s3cret", "inner": "project:0wn-s3cret"}
    inner = other.create("inner", {"deep.txt": "deep"})
    sub = other.create("sub", {"a": "1"})
    sha = sub.commit(gitmodules(inner="../inner.git"), submodules={"inner": inner.git("rev-parse", "main")})
    host.behaviour.logins = {"super": f"ci:{TOKEN}"}
    with_submodule(host, as_user(other, "sub", "project:0wn-s3cret"), sha)
    checkout = fetch(make_source(tmp_path), as_user(host, "super", f"ci:{TOKEN}"))
    assert (checkout.folder / "sub" / "inner" / "deep.txt").read_text() == "deep"
    assert "0wn-s3cret" not in (checkout.folder / "sub" / ".git" / "config").read_text()


def test_logins_of_jobs_at_the_same_time_do_not_mix(host: GitServer, tmp_path: Path) -> None:
    host.behaviour.logins = {f"team{n}": f"ci{n}:t0ken-{n}" for n in range(4)}
    for name in host.behaviour.logins:
        host.create(name, {"MLproject": f"name: {name}\n"})
    source = make_source(tmp_path)

    def project(n: int, login: int) -> str:
        address = parse_git_uri(as_user(host, f"team{n}", host.behaviour.logins[f"team{login}"]))
        request = SourceRequest(address.uri, "main", credentials=address.credentials)
        try:
            return (source.checkout(request, name=f"a-{n}{login}").folder / "MLproject").read_text()
        except UserError as error:
            return error.code

    pairs = [(n, login) for n in range(4) for login in range(4)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pair: project(*pair), pairs))
    expected = [f"name: team{n}\n" if n == login else Code.GIT_AUTH_FAILED for n, login in pairs]
    assert found == expected
