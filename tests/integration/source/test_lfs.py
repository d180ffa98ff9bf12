"""Repositories with Git LFS: the content comes, or the attempt says which files are missing. No pointer is trained."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from shared.addresses.git_uri import AllowedAddresses, parse_git_uri
from shared.errors import AttemptError, Code, InfrastructureError, UserError
from tests.support.servers.git_repository import RepositoryOnServer, bare_repository
from tests.support.servers.git_server import GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.source.deadline import Deadline
from worker.source.git import Git
from worker.source.limits import SourceLimits
from worker.source.logins import Logins
from worker.source.way_out.door import Door
from worker.source.web_opener import WebOpener

WEIGHTS, DATA = b"weights" * 1000, b"x,y\n1,2\n"
MLPROJECT = b"name: iris\n"


def oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pointer(content: bytes, *, size: int | None = None) -> str:
    size = len(content) if size is None else size
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid(content)}\nsize {size}\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host", "retrain-bot", "pass word") as server:
        server.behaviour.lfs_files = {oid(content): content for content in (WEIGHTS, DATA, MLPROJECT)}
        yield server


def make_source(tmp_path: Path, *hosts: str) -> GitSource:
    return GitSource(
        tmp_path / "data" / "mirrors",
        tmp_path / "data" / "work",
        allowed_schemes=frozenset({"http", "file"}),
        allowed_hosts=frozenset(hosts or {"127.0.0.1"}),
        limits=SourceLimits(1000, 10**6),
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )


def fetch(tmp_path: Path, uri: str) -> Checkout:
    address = parse_git_uri(uri)
    request = SourceRequest(address.uri, "main", credentials=address.credentials)
    return make_source(tmp_path).checkout(request, name="a-1", timeout_seconds=30)


def iris(server: GitServer, **changes: str) -> str:
    """A repository with pointers, some without .gitattributes, and its address."""
    files = {
        "MLproject": pointer(MLPROJECT),
        "weights.bin": pointer(WEIGHTS),
        "copy of.bin": pointer(WEIGHTS),
        "data/train.csv": pointer(DATA),
        ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        "docs.md": "version https://git-lfs.github.com/spec/v1 is what a pointer begins with\n",
    }
    server.create("iris", {**files, **changes})
    return server.url("iris", with_credentials=True)


def assert_refused(
    tmp_path: Path, uri: str, *words: str, code: Code = Code.INVALID_PROJECT, kind: type[AttemptError] = UserError
) -> None:
    with pytest.raises(kind) as caught:
        fetch(tmp_path, uri)
    assert caught.value.code is code, caught.value
    for word in words:
        assert word in caught.value.message


def test_the_content_stands_in_the_place_of_every_pointer(server: GitServer, tmp_path: Path) -> None:
    folder = fetch(tmp_path, iris(server)).folder
    assert (folder / "MLproject").read_bytes() == MLPROJECT
    assert (folder / "weights.bin").read_bytes() == (folder / "copy of.bin").read_bytes() == WEIGHTS
    assert (folder / "data" / "train.csv").read_bytes() == DATA
    assert (folder / "docs.md").read_text().startswith("version https://git-lfs")
    downloads = [seen for seen in server.requests if seen.path.endswith(oid(WEIGHTS))]
    assert [seen.authorization for seen in downloads] == [server.authorizations("iris")[-1]]
    lfs = [seen.authorization for seen in server.requests if "/info/lfs/" in seen.path]
    assert [authorization is None for authorization in lfs] == [True, False, False, False, False]  # asked once


def test_a_submodules_files_come_from_its_own_host(server: GitServer, tmp_path: Path) -> None:
    iris(server)
    sha = server.create("sub", {"big": pointer(DATA)}).git("rev-parse", "main")
    outer = server.create("outer", {"MLproject": "", ".gitmodules": '[submodule "s"]\npath = s\nurl = ../sub.git\n'})
    outer.commit({}, submodules={"s": sha})
    assert (fetch(tmp_path, server.url("outer", with_credentials=True)).folder / "s" / "big").read_bytes() == DATA
    assert any(seen.path.startswith("/sub.git/info/lfs/") for seen in server.requests)


def test_a_host_that_does_not_have_them_is_told_with_the_files(server: GitServer, tmp_path: Path) -> None:
    address = iris(server)
    del server.behaviour.lfs_files[oid(DATA)]
    assert_refused(tmp_path, address, "Git LFS", "weights.bin", "data/train.csv", "git lfs push")
    server.behaviour.lfs_files.clear()
    assert_refused(tmp_path, address, "Git LFS", "MLproject", "(404)")


def test_content_that_is_not_what_the_pointer_says_is_refused(server: GitServer, tmp_path: Path) -> None:
    address = iris(server)
    for wrong in (b"short", WEIGHTS[:-1] + b"?", WEIGHTS + b"more"):
        server.behaviour.lfs_files[oid(WEIGHTS)] = wrong
        assert_refused(tmp_path, address, "is not what its pointer says")


def test_a_host_that_fails_is_worth_another_attempt(server: GitServer, tmp_path: Path) -> None:
    server.behaviour.lfs_href = "http://127.0.0.1:9"
    kind = InfrastructureError
    assert_refused(tmp_path, iris(server), "LFS server", code=Code.GIT_UNREACHABLE, kind=kind)


def test_more_than_a_source_may_take_is_not_asked_for(server: GitServer, tmp_path: Path) -> None:
    address = iris(server, **{"huge.bin": pointer(b"huge", size=10**7)})
    assert_refused(tmp_path, address, "SOURCE_MAX_BYTES", code=Code.SOURCE_TOO_LARGE)
    assert not any("/info/lfs/" in seen.path for seen in server.requests)


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "169.254.169.254", "[::1]"])
def test_files_that_are_said_to_lie_inside_are_not_fetched(server: GitServer, tmp_path: Path, host: str) -> None:
    with GitServer(tmp_path / "inner") as inner:
        server.behaviour.lfs_href = f"http://{host}:{inner.port}"
        assert_refused(tmp_path, iris(server), "GIT_HOSTS", host.strip("[]"))
        assert not inner.requests


def test_credentials_go_to_no_other_server(server: GitServer, tmp_path: Path) -> None:
    with GitServer(tmp_path / "other") as other:
        other.behaviour.lfs_files = server.behaviour.lfs_files
        elsewhere = f"http://127.0.0.1:{other.port}/elsewhere.git/info/lfs"
        address = iris(server, **{".lfsconfig": f"[lfs]\n\turl = {elsewhere}\n"})
        assert (fetch(tmp_path, address).folder / "weights.bin").read_bytes() == WEIGHTS
        assert {seen.authorization for seen in other.requests} == {None}


def test_an_lfs_server_that_asks_for_no_login_is_shown_none(server: GitServer, tmp_path: Path) -> None:
    server.behaviour.logins = {"elsewhere": "x:y"}  # and it refuses any for others
    assert (fetch(tmp_path, iris(server)).folder / "weights.bin").read_bytes() == WEIGHTS
    assert {seen.authorization for seen in server.requests} == {None}


def test_the_storage_of_an_lfs_server_asks_for_its_login_in_vain(server: GitServer, tmp_path: Path) -> None:
    with GitServer(tmp_path / "storage", "retrain-bot", "pass word") as storage:
        server.behaviour.lfs_href = f"http://127.0.0.1:{storage.port}/storage.git/info/lfs"
        assert_refused(tmp_path, iris(server), "denies access (401)", code=Code.GIT_AUTH_FAILED)
        assert {seen.authorization for seen in storage.requests} == {None}


def test_what_an_lfs_server_lets_in_by_goes_to_no_host_that_the_file_is_redirected_to(
    server: GitServer, tmp_path: Path
) -> None:
    server.behaviour.lfs_header = {"Authorization": "Basic Z2l2ZW4="}
    with GitServer(tmp_path / "storage") as storage, GitServer(tmp_path / "far") as far:
        far.behaviour.lfs_files = server.behaviour.lfs_files
        server.behaviour.lfs_href = f"http://127.0.0.1:{storage.port}/storage.git/info/lfs"
        storage.behaviour.redirect_to = f"http://127.0.0.1:{far.port}"
        assert (fetch(tmp_path, iris(server)).folder / "weights.bin").read_bytes() == WEIGHTS
        assert {seen.authorization for seen in storage.requests} == {"Basic Z2l2ZW4="}
        assert {seen.authorization for seen in far.requests} == {None}


def refused_by_opener(server: GitServer, **headers: str) -> None:
    """Open the server's address with its login at hand, and expect a 401."""
    login = parse_git_uri(server.url("iris", with_credentials=True)).credentials
    allowed = AllowedAddresses(frozenset({"http"}), frozenset({"127.0.0.1"}))
    with Door(allowed, what="", max_bytes=10**6) as door:
        git = Git(server.url("iris"), Deadline(30), frozenset({"http"}), {}, door=door)
        opener, request = WebOpener(git, Logins().plus(login)), Request(server.url("iris"), headers=headers)  # noqa: S310
        with pytest.raises(HTTPError, match="401"):
            opener.open(request, timeout=30)


def test_a_server_that_redirects_to_one_that_asks_has_not_asked_itself(server: GitServer, tmp_path: Path) -> None:
    with GitServer(tmp_path / "far", "x", "y") as far:
        server.behaviour.redirect_to = f"http://127.0.0.1:{far.port}"
        refused_by_opener(server)
        assert {seen.authorization for seen in (*server.requests, *far.requests)} == {None}


def test_what_an_lfs_server_gave_for_a_file_is_shown_and_not_the_login(server: GitServer) -> None:
    refused_by_opener(server, Authorization="Basic Z2l2ZW4=")
    assert [seen.authorization for seen in server.requests] == ["Basic Z2l2ZW4="]


@pytest.mark.parametrize("url", ["file:///srv/lfs", "ssh://git@other.example/a.git", "http://localhost/lfs", "ext::sh"])
def test_an_lfs_server_is_held_to_what_the_operator_allows(server: GitServer, tmp_path: Path, url: str) -> None:
    assert_refused(tmp_path, iris(server, **{".lfsconfig": f"[lfs]\n\turl = {url}\n"}), "LFS server")


def local(tmp_path: Path) -> RepositoryOnServer:
    return bare_repository(tmp_path / "local.git", {"MLproject": "", "weights.bin": pointer(WEIGHTS)})


def test_a_local_repository_gives_what_it_keeps_itself(tmp_path: Path) -> None:
    repository, name = local(tmp_path), oid(WEIGHTS)
    assert_refused(tmp_path, repository.uri, "weights.bin", "does not have their content")
    kept = repository.folder / "lfs" / "objects" / name[:2] / name[2:4] / name
    kept.parent.mkdir(parents=True)
    kept.write_bytes(WEIGHTS)
    assert (fetch(tmp_path, repository.uri).folder / "weights.bin").read_bytes() == WEIGHTS


def test_git_lfs_on_the_worker_fetches_nothing_by_itself(tmp_path: Path) -> None:
    filters = "".join(f'\t{key} = "touch {tmp_path}/ran; cat"\n' for key in ("clean", "smudge", "process"))
    (tmp_path / ".gitconfig").write_text(f'[filter "lfs"]\n{filters}\trequired = true\n')
    repository = local(tmp_path)
    repository.commit({".gitattributes": "* filter=lfs\n"})
    assert_refused(tmp_path, repository.uri, "weights.bin")
    assert not (tmp_path / "ran").exists()
