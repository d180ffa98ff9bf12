"""Repositories that unpack to more than they look like: refused before they take the disk, and nothing is left."""

import hashlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from shared.errors import Code, InfrastructureError, UserError
from tests.support.projects.tree_bomb import commit_tree_bomb
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.source.limits import SourceLimits

MEGABYTE = 1024**2
MOST_FILES, MOST_BYTES = 1000, 8 * MEGABYTE


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host") as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return make_source(tmp_path)


def make_source(tmp_path: Path, *, least_free_bytes: int = 0) -> GitSource:
    return GitSource(
        tmp_path / "data" / "mirrors",
        tmp_path / "data" / "work",
        allowed_schemes=frozenset({"http"}),
        allowed_hosts=frozenset({"127.0.0.1"}),
        limits=SourceLimits(MOST_FILES, MOST_BYTES, least_free_bytes),
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )


def fetch(source: GitSource, uri: str, *, timeout_seconds: float = 30) -> Checkout:
    return source.checkout(SourceRequest(uri, "main"), name="a-1", timeout_seconds=timeout_seconds)


def assert_refused(source: GitSource, uri: str, tmp_path: Path, code: Code = Code.SOURCE_TOO_LARGE) -> UserError:
    """Refused, with no file of its work tree here, no git left running, and after discard() next to nothing."""
    with pytest.raises(UserError) as caught:
        fetch(source, uri)
    assert caught.value.code is code, caught.value
    assert not [path for path in (tmp_path / "data/work/a-1").rglob("*") if path.name.startswith("f0")]
    assert not [each for each in psutil.Process().children(recursive=True) if "git" in each.name()]
    source.discard("a-1")
    assert size_of(tmp_path / "data") < MEGABYTE
    return caught.value


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("content", [b"boom\n", None], ids=["files", "empty folders"])
def test_a_tree_of_a_milliard_equal_entries_is_refused_before_any_is_written(
    server: GitServer, source: GitSource, tmp_path: Path, content: bytes | None
) -> None:
    commit_tree_bomb(server.create("bomb"), levels=9, content=content)
    error = assert_refused(source, server.url("bomb"), tmp_path)
    assert "SOURCE_MAX_FILES" in error.message
    assert error.facts["max_files"] == MOST_FILES


def test_few_files_that_are_large_together_are_refused(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    commit_tree_bomb(server.create("bomb"), levels=2, content=b"x" * 100_000)
    assert_refused(source, server.url("bomb"), tmp_path)


def test_what_is_within_the_limits_is_checked_out(server: GitServer, source: GitSource) -> None:
    commit_tree_bomb(server.create("fair"), levels=2, content=b"x" * 50_000)
    assert len(list(fetch(source, server.url("fair")).folder.glob("bomb/*/f*"))) == 100


def test_one_blob_that_is_packed_a_thousandfold_is_refused(
    server: GitServer, source: GitSource, tmp_path: Path
) -> None:
    server.create("zeros", {"f0": bytes(MOST_BYTES + 1), "MLproject": ""})
    assert_refused(source, server.url("zeros"), tmp_path)


def test_a_pack_that_is_larger_than_what_may_be_fetched_is_cut_off(
    server: GitServer, source: GitSource, tmp_path: Path
) -> None:
    server.create("noise", {"f0": os.urandom(MOST_BYTES * 2), "MLproject": ""})
    error = assert_refused(source, server.url("noise"), tmp_path)
    assert "SOURCE_MAX_BYTES" in error.message


def test_submodules_draw_on_the_same_limits(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    sha = commit_tree_bomb(server.create("part"), levels=2, content=b"x" * 30_000)
    urls = "".join(f'[submodule "s{n}"]\n\tpath = s{n}\n\turl = {server.url("part")}\n' for n in range(3))
    files = {".gitmodules": urls, "MLproject": ""}
    server.create("whole").commit(files, submodules={f"s{n}": sha for n in range(3)})
    fetch(source, server.url("part"))
    with pytest.raises(UserError) as caught:
        fetch(source, server.url("whole"))
    assert caught.value.code is Code.SOURCE_TOO_LARGE
    assert not (tmp_path / "data/work/a-1/s2/bomb").exists()


def test_an_entry_of_endless_name_is_refused(server: GitServer, source: GitSource, tmp_path: Path) -> None:
    repository = server.create("name")
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"x")
    tree = repository.git("mktree", stdin=f"100644 blob {blob}\t{'n' * 100_000}\n".encode())
    repository.git("update-ref", "refs/heads/main", repository.git("commit-tree", "-m", "Name", tree))
    assert_refused(source, server.url("name"), tmp_path, Code.INVALID_PROJECT)


def test_a_delta_that_stands_for_more_memory_than_git_may_have_ends_git_not_the_host(
    server: GitServer, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.source.git.MEMORY_BYTES", 160 * MEGABYTE)
    commit_delta(server.create("delta"), size=256 * MEGABYTE)
    error = assert_refused(source, server.url("delta"), tmp_path)
    assert "memory" in error.message


def commit_delta(repository: RepositoryOnServer, *, size: int) -> None:
    """Commit two files of zeros, of which the large one is kept as a few copies of the small one."""
    copied = 0xFFFFFF
    copies, rest = divmod(size, copied)
    delta = varint(copied) + varint(size) + b"\xf0\xff\xff\xff" * copies + b"\xf0" + rest.to_bytes(3, "little")
    small, large = (sha1(b"blob %d\0" % length + bytes(length)) for length in (copied, size))
    objects = entry(3, bytes(copied)) + entry(7, delta, bytes.fromhex(small))
    pack = b"PACK" + (2).to_bytes(4, "big") + (2).to_bytes(4, "big") + objects
    repository.git("index-pack", "--stdin", stdin=pack + bytes.fromhex(sha1(pack)))
    listing = f"100644 blob {small}\tf00\n100644 blob {large}\tf01\n"
    tree = repository.git("mktree", stdin=listing.encode())
    repository.git("update-ref", "refs/heads/main", repository.git("commit-tree", "-m", "Delta", tree))


def sha1(content: bytes) -> str:
    """The name that git gives to it."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def entry(kind: int, content: bytes, base: bytes = b"") -> bytes:
    """An object as a pack has it."""
    length, high = len(content) & 0xF, len(content) >> 4
    head = bytes([(0x80 if high else 0) | kind << 4 | length]) + (varint(high) if high else b"")
    return head + base + zlib.compress(content)


def varint(number: int) -> bytes:
    """A length as git's packs have it: seven bits a byte, the lowest first."""
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def test_a_disk_that_fills_while_it_is_fetched_ends_the_attempt_and_keeps_nothing_of_it(
    server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.create("iris", {"MLproject": "", "f0": os.urandom(MEGABYTE)})
    source = make_source(tmp_path, least_free_bytes=4 * MEGABYTE)

    def free_bytes(folder: Path) -> int:
        """Full as soon as a pack is being written."""
        return 0 if list(folder.glob("*.git/objects/pack/*")) else 10 * MEGABYTE

    monkeypatch.setattr("worker.source.checkout.free_bytes", free_bytes)
    with pytest.raises(InfrastructureError, match="disk is full") as caught:
        fetch(source, server.url("iris"))
    assert caught.value.code is Code.DISK_FULL
    source.discard("a-1")
    assert not list((tmp_path / "data").rglob("tmp_*"))
    assert not [each for each in psutil.Process().children(recursive=True) if "git" in each.name()]
