"""Private repositories: credentials reach their git host, and nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from shared.addresses.git_uri import Credentials, parse_git_uri
from shared.errors import AttemptTimeout, Code, InfrastructureError, UserError
from tests.integration.source.private_host import FORMS, LOOPBACK, PASSWORD, USERNAME, fetch, make_source
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from tests.support.waiting import wait_until
from worker.source.checkout import SourceRequest


def test_an_address_is_resolved_to_the_commit_that_it_means_without_a_checkout(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    source, credentials = make_source(tmp_path), parse_git_uri(server.url("iris", with_credentials=True)).credentials
    first = iris.git("rev-parse", "main")
    iris.tag("v1")
    second = iris.commit({"new": "x"})
    found = [source.resolve(SourceRequest(iris.uri, ref, credentials=credentials)) for ref in ("HEAD", "v1", first)]
    assert found == [second, first, first]
    assert source.list_names() == []
    with pytest.raises(UserError) as caught:
        source.resolve(SourceRequest(iris.uri, "HEAD"))
    assert caught.value.code == Code.GIT_AUTH_FAILED


def test_an_address_is_allowed_by_scheme_and_host(tmp_path: Path) -> None:
    source = make_source(tmp_path, "https", "file", hosts=frozenset({"git.example"}))
    allowed = ["https://git.example/a.git", "file:///srv/a.git"]
    refused = ["http://git.example/a.git", "https://other.example/a.git", f"file://{tmp_path}/work", "no address"]
    assert [source.allows(uri) for uri in allowed + refused] == [True, True, False, False, False, False]


def seen_of_processes(*, environment: bool = False) -> list[str]:
    """The command lines, or the environments, of git's processes that this one started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "git" in process.name():
                found.append(str(process.environ()) if environment else " ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_a_private_repository_is_read_and_its_password_is_in_no_file(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    iris.git("branch", "other")
    source = make_source(tmp_path)
    for ref in ("main", iris.git("rev-parse", "main")[:8]):
        assert (fetch(source, server.url("iris", with_credentials=True), ref).folder / "MLproject").is_file()
    assert set(server.authorizations("iris")) == {None, f"Basic {FORMS[2]}"}
    files = [path for top in ("mirrors", "work") for path in (tmp_path / top).rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(form.encode() in content or form in str(path) for form in FORMS), path


@pytest.mark.parametrize("asks_first", [True, False], ids=["logged in", "before the host asks"])
def test_the_password_is_in_no_command_line_and_in_no_environment_before_the_host_asks(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path, asks_first: bool
) -> None:
    server.behaviour.hang, server.behaviour.asks_first = True, asks_first
    source, address = make_source(tmp_path), server.url("iris", with_credentials=True)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(fetch, source, address, timeout_seconds=3)
        wait_until(lambda: len(server.requests) > asks_first)
        seen, environments = seen_of_processes(), seen_of_processes(environment=True)
        with pytest.raises(AttemptTimeout):
            attempt.result(30)
    assert any("git fetch" in line for line in seen)
    assert any("remote-http" in line for line in seen)
    assert not any(form in line for line in seen for form in (*FORMS, USERNAME))
    assert any(form in line for line in environments for form in FORMS) is asks_first
    assert not seen_of_processes()


def test_a_token_works_in_the_place_of_the_user(tmp_path: Path) -> None:
    with GitServer(tmp_path / "host", username="ghp_t0ken") as server:
        server.create("iris", {"MLproject": ""})
        assert "ghp_t0ken@" in server.url("iris", with_credentials=True)
        fetch(make_source(tmp_path), server.url("iris", with_credentials=True))


@pytest.mark.parametrize("userinfo", [f"{USERNAME}:wr0ng-{PASSWORD[:4]}", "ghp_wr0ng"])
def test_refused_credentials_are_the_users_turn_and_are_not_repeated(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path, userinfo: str
) -> None:
    username, _, password = userinfo.partition(":")
    credentials = Credentials(f"http://127.0.0.1:{server.port}/", username, password)
    with pytest.raises(UserError, match="refuses the login") as caught:
        make_source(tmp_path).checkout(SourceRequest(iris.uri, "main", credentials=credentials), name="a-1")
    assert caught.value.code == Code.GIT_AUTH_FAILED
    assert "wr0ng" not in str(caught.value) + repr(caught.value.facts)


def test_a_repository_that_is_not_there_may_be_one_that_is_not_shown(server: GitServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="may not exist") as caught:
        fetch(make_source(tmp_path), server.url("nothing", with_credentials=True))
    assert caught.value.code == Code.GIT_AUTH_FAILED


def test_a_sha_in_the_mirror_is_not_given_to_who_may_not_read_it(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    source = make_source(tmp_path)
    sha = fetch(source, server.url("iris", with_credentials=True)).commit_sha
    for ref in (sha, sha[:10], "main"):
        with pytest.raises(UserError) as caught:
            fetch(source, server.url("iris"), ref)
        assert caught.value.code == Code.GIT_AUTH_FAILED


@pytest.mark.parametrize("password", ["wr0ng", None])
def test_a_pinned_commit_in_the_mirror_is_not_given_to_who_may_not_read_it_any_more(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path, password: str | None
) -> None:
    source = make_source(tmp_path)
    sha = fetch(source, server.url("iris", with_credentials=True)).commit_sha
    credentials = Credentials(f"http://127.0.0.1:{server.port}/", USERNAME, password) if password else None
    with pytest.raises(UserError) as caught:
        source.checkout(SourceRequest(iris.uri, "main", sha, credentials=credentials), name="a-2")
    assert caught.value.code == Code.GIT_AUTH_FAILED
    assert not (tmp_path / "work" / "a-2").exists()


def test_a_pinned_commit_waits_for_a_host_that_cannot_be_asked(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    source, address = make_source(tmp_path), parse_git_uri(server.url("iris", with_credentials=True))
    pinned = SourceRequest(iris.uri, "main", iris.git("rev-parse", "main"), credentials=address.credentials)
    source.checkout(pinned, name="a-1")
    server.behaviour.status = 503
    with pytest.raises(InfrastructureError) as caught:
        source.checkout(pinned, name="a-2")
    assert caught.value.code == Code.GIT_UNREACHABLE
    server.behaviour.status = None
    assert source.checkout(pinned, name="a-2").commit_sha == pinned.commit_sha


def test_a_redirect_is_followed_to_a_host_that_may_be_asked_itself(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    with GitServer(tmp_path / "host") as other:
        server.behaviour.redirect_to = f"http://localhost:{other.port}"
        fetch(make_source(tmp_path, hosts=LOOPBACK | {"localhost"}), server.url("iris"))
        other.requests.clear()
        with pytest.raises(UserError, match="'localhost'") as caught:
            fetch(make_source(tmp_path), server.url("iris"))
        assert not other.requests
    assert (caught.value.code, caught.value.facts["setting"]) == (Code.INVALID_PARAMETER, "GIT_HOSTS")


def test_an_address_without_dot_git_works_where_the_host_insists_on_it(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    server.behaviour.only_dot_git = True
    fetch(make_source(tmp_path), server.url("iris", with_credentials=True).removesuffix(".git"))
