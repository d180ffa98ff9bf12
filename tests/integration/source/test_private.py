"""Private repositories and submodules: credentials reach their git host, and nothing else."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from shared.addresses.git_uri import Credentials, parse_git_uri
from shared.errors import AttemptError, AttemptTimeout, Code, InfrastructureError, UserError
from tests.support.servers.git_repository import RepositoryOnServer, bare_repository
from tests.support.servers.git_server import GitServer
from tests.support.waiting import wait_until
from worker.source.checkout import Checkout, GitSource, SourceRequest

LOOPBACK = frozenset({"127.0.0.1"})
USERNAME, PASSWORD = "retrain-bot", "p@ss/w0rd:&%41"
FORMS = (
    PASSWORD,
    quote(PASSWORD, safe=""),
    base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode(),
    base64.b64encode(PASSWORD.encode()).decode(),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host", USERNAME, PASSWORD) as server:
        yield server


@pytest.fixture
def iris(server: GitServer) -> RepositoryOnServer:
    return server.create("iris", {"MLproject": "name: iris\n"})


def make_source(tmp_path: Path, *schemes: str, hosts: frozenset[str] = LOOPBACK, **environ: str) -> GitSource:
    return GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset(schemes or {"http"}),
        allowed_hosts=hosts,
        environ={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), **environ},
    )


def fetch(source: GitSource, address: str, ref: str = "main", *, timeout_seconds: float = 30) -> Checkout:
    parsed = parse_git_uri(address)
    request = SourceRequest(parsed.uri, ref, credentials=parsed.credentials)
    return source.checkout(request, name="a-1", timeout_seconds=timeout_seconds)


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


def gitmodules(**urls: str) -> dict[str, str]:
    entries = (f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in urls.items())
    return {".gitmodules": "".join(entries)}


def with_submodule(server: GitServer, url: str, sha: str) -> RepositoryOnServer:
    repository = server.create("super", {"MLproject": "name: super\n"})
    repository.commit(gitmodules(sub=url), submodules={"sub": sha})
    return repository


def command_lines() -> list[str]:
    """Those of git's processes that this one started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "git" in process.name():
                found.append(" ".join(process.cmdline()))
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
    assert set(server.authorizations("iris")) == {f"Basic {FORMS[2]}"}
    files = [path for top in ("mirrors", "work") for path in (tmp_path / top).rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not any(form.encode() in content or form in str(path) for form in FORMS), path


def test_the_password_is_in_no_command_line(server: GitServer, iris: RepositoryOnServer, tmp_path: Path) -> None:
    server.behaviour.hang = True
    source, address = make_source(tmp_path), server.url("iris", with_credentials=True)
    with ThreadPoolExecutor(1) as pool:
        attempt = pool.submit(fetch, source, address, timeout_seconds=3)
        wait_until(lambda: server.requests)
        seen = command_lines()
        with pytest.raises(AttemptTimeout):
            attempt.result(30)
    assert any("git fetch" in line for line in seen)
    assert any("remote-http" in line for line in seen)
    assert not any(form in line for line in seen for form in (*FORMS, USERNAME))
    assert not command_lines()


def test_a_token_works_in_the_place_of_the_user(tmp_path: Path) -> None:
    with GitServer(tmp_path / "host", username="ghp_t0ken") as server:
        server.create("iris", {"MLproject": ""})
        assert "ghp_t0ken@" in server.url("iris", with_credentials=True)
        fetch(make_source(tmp_path), server.url("iris", with_credentials=True))


@pytest.mark.parametrize("userinfo", ["", f"{USERNAME}:wr0ng-{PASSWORD[:4]}", "ghp_wr0ng"])
def test_refused_credentials_are_the_users_turn_and_are_not_repeated(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path, userinfo: str
) -> None:
    username, _, password = userinfo.partition(":")
    credentials = Credentials(f"http://127.0.0.1:{server.port}/", username, password) if userinfo else None
    with pytest.raises(UserError, match="may not exist, or the token") as caught:
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


def test_credentials_are_not_shown_to_a_host_that_git_is_redirected_to(
    server: GitServer, iris: RepositoryOnServer, tmp_path: Path
) -> None:
    with GitServer(tmp_path / "host") as other:
        server.behaviour.redirect_to = f"http://127.0.0.1:{other.port}"
        with pytest.raises(UserError, match="redirects") as caught:
            fetch(make_source(tmp_path), server.url("iris", with_credentials=True))
        assert not other.requests
    assert caught.value.code == Code.INVALID_PARAMETER


def test_without_credentials_a_redirect_is_followed_to_a_host_that_may_be_asked_itself(
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


@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
@pytest.mark.parametrize("v2", [True, False], ids=["shallow", "only tips may be asked for"])
def test_private_submodules_of_the_same_host_are_fetched(
    server: GitServer, tmp_path: Path, relative: bool, v2: bool
) -> None:
    server.behaviour.protocol_v2 = v2
    inner = server.create("inner", {"deep.txt": "deep"})
    sub = server.create("sub", {"sub.txt": "old"})
    sha = sub.commit(gitmodules(inner="../inner.git"), submodules={"inner": inner.git("rev-parse", "main")})
    sub.commit({"sub.txt": "newer than what is asked for"})
    super_ = with_submodule(server, "../sub.git" if relative else sub.uri, sha)
    checkout = fetch(make_source(tmp_path), server.url("super", with_credentials=True))
    assert checkout.commit_sha == super_.git("rev-parse", "main")
    assert (checkout.folder / "sub" / "sub.txt").read_text() == "old"
    assert (checkout.folder / "sub" / "inner" / "deep.txt").read_text() == "deep"
    for path in (path for path in checkout.folder.rglob("*") if path.is_file()):
        assert not any(form.encode() in path.read_bytes() for form in FORMS), path


def test_a_submodule_of_another_host_is_not_shown_the_credentials(server: GitServer, tmp_path: Path) -> None:
    with GitServer(tmp_path / "other-host") as other:
        sub = other.create("sub", {"sub.txt": "public"})
        with_submodule(server, sub.uri, sub.git("rev-parse", "main"))
        checkout = fetch(make_source(tmp_path), server.url("super", with_credentials=True))
        assert set(other.authorizations("sub")) == {None}
    assert (checkout.folder / "sub" / "sub.txt").read_text() == "public"


@pytest.mark.parametrize("nested", [False, True], ids=["its own", "its submodule's"])
def test_a_repository_on_a_host_names_no_folder_of_the_workers_machine_as_submodule(
    server: GitServer, tmp_path: Path, nested: bool
) -> None:
    secret = bare_repository(tmp_path / "secret.git", {"key": "s3cret"})
    sha = with_submodule(server, secret.uri, secret.git("rev-parse", "main")).git("rev-parse", "main")
    if nested:
        outer = bare_repository(tmp_path / "outer.git", {"MLproject": ""})
        outer.commit(gitmodules(sub=server.url("super", with_credentials=True)), submodules={"sub": sha})
    source = make_source(tmp_path / "data", "http", "file")
    with pytest.raises(UserError, match="only a local repository may name") as caught:
        fetch(source, f"file://{tmp_path}/outer.git" if nested else server.url("super", with_credentials=True))
    assert caught.value.code == Code.INVALID_PROJECT
    assert not list((tmp_path / "data" / "work").rglob("key"))


def test_a_local_repository_has_local_submodules(tmp_path: Path) -> None:
    inner = bare_repository(tmp_path / "inner.git", {"a": "1"})
    outer = bare_repository(tmp_path / "outer.git", {"MLproject": ""})
    outer.commit(gitmodules(sub="../inner.git"), submodules={"sub": inner.git("rev-parse", "main")})
    assert (fetch(make_source(tmp_path / "data", "file"), outer.uri).folder / "sub" / "a").read_text() == "1"


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {tmp}/pwned",
        "file://{tmp}/host/secret.git",
        "{tmp}/host/secret.git",
        "ssh://git@other.example/a.git",
        "http://other.example/a.git",
        "--upload-pack=touch {tmp}/pwned",
    ],
)
def test_a_submodule_is_held_to_what_the_operator_allows(server: GitServer, tmp_path: Path, url: str) -> None:
    secret = server.create("secret", {"a": "1"})
    with_submodule(server, url.format(tmp=tmp_path), secret.git("rev-parse", "main"))
    with pytest.raises(AttemptError, match="ubmodule") as caught:
        fetch(make_source(tmp_path), server.url("super", with_credentials=True))
    assert caught.value.code == Code.INVALID_PROJECT
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("form", ["{mirror}", "{mirror}/../{name}", "{encoded}", "{link}", "{work}"])
def test_the_mirrors_and_the_work_of_others_are_no_repositories(server: GitServer, tmp_path: Path, form: str) -> None:
    server.create("iris", {"MLproject": "name: iris\n"})
    data = tmp_path / "data"
    checkout = fetch(make_source(data), server.url("iris", with_credentials=True))
    (mirror,) = (data / "mirrors").glob("*.git")
    (tmp_path / "link").symlink_to(data)
    link = f"{tmp_path}/link/mirrors/{mirror.name}"
    encoded = str(mirror).replace("data", "d%61ta").replace("mirrors", "m%69rrors")
    path = form.format(mirror=mirror, name=mirror.name, encoded=encoded, link=link, work=checkout.folder)
    source = make_source(data, "file", "http")

    with pytest.raises(UserError, match="data folder") as caught:
        source.checkout(SourceRequest(f"file://{path}", checkout.commit_sha), name="b-1")
    assert caught.value.code == Code.INVALID_PARAMETER

    with_submodule(server, f"file://{path}", checkout.commit_sha)
    with pytest.raises(UserError, match=r"ubmodule.*data folder") as caught:
        fetch(source, server.url("super", with_credentials=True))
    assert caught.value.code == Code.INVALID_PROJECT
