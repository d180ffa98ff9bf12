"""Downloads from a real HTTP server that cuts, fails, and changes its mind."""

import hashlib
import io
import random
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mypackage.dataset.archives import ArchiveLimits
from mypackage.dataset.cache import Cache
from mypackage.dataset.errors import DatasetError
from mypackage.dataset.http import download, fetch
from mypackage.dataset.patience import Patience
from tests.support.servers.file_server import FileServer

CONTENT = random.Random(7).randbytes(3_000_000)  # noqa: S311 - just bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Pauses:
    """Takes the place of time.sleep."""

    seconds: list[float] = field(default_factory=list)

    def patience(self, failures: int = 6) -> Patience:
        return Patience(failures=failures, sleep=self.seconds.append)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"/data": CONTENT}) as server:
        yield server


@pytest.mark.parametrize("seed", range(5))
def test_a_download_that_is_cut_anywhere_goes_on_where_it_was_cut(
    server: FileServer, tmp_path: Path, pauses: Pauses, seed: int
) -> None:
    offsets = random.Random(seed)  # noqa: S311 - no secret
    server.cut_after = lambda: offsets.randrange(0, 600_000)
    digest = download(f"{server.url}/data", tmp_path / "file", sha256=SHA256, patience=pauses.patience(4))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert digest == f"sha256:{SHA256}"
    assert len(server.requests) > 5
    assert server.sent_bytes < len(CONTENT) + len(server.requests) * 70_000


def test_a_file_that_changed_meanwhile_is_fetched_anew(server: FileServer, tmp_path: Path, pauses: Pauses) -> None:
    def cut_and_change() -> int | None:
        if len(server.requests) > 1:
            return None
        server.etag, server.files["/data"] = '"2"', CONTENT[::-1]
        return 1_000_000

    server.cut_after = cut_and_change
    download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience())
    assert (tmp_path / "file").read_bytes() == CONTENT[::-1]
    assert [bool(wanted) for wanted in server.requests] == [False, True]


@pytest.mark.parametrize("etag", [None, 'W/"1"', '"1"'])
def test_a_server_without_ranges_or_versions_is_asked_for_everything_again(
    server: FileServer, tmp_path: Path, pauses: Pauses, etag: str | None
) -> None:
    server.etag, server.takes_ranges = etag, etag != '"1"'
    server.cut_after = lambda: 1_000_000 if len(server.requests) == 1 else None
    download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience())
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_later_process_goes_on_with_what_is_here_and_asks_for_no_byte_twice(
    server: FileServer, tmp_path: Path, pauses: Pauses
) -> None:
    server.cut_after = lambda: 1_000_000
    with pytest.raises(DatasetError, match="failed"):
        download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience(0))
    server.cut_after = lambda: None
    download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience(0))
    download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience(0))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.sent_bytes < len(CONTENT) + 70_000


def test_a_server_that_fails_is_asked_again_after_longer_and_longer_pauses(
    server: FileServer, tmp_path: Path, pauses: Pauses
) -> None:
    server.statuses = [500, 503, 429, 502]
    download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience())
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert pauses.seconds == [1, 2, 7, 8]


def test_a_server_that_goes_on_failing_is_given_up(server: FileServer, tmp_path: Path, pauses: Pauses) -> None:
    server.statuses = [500] * 9
    with pytest.raises(DatasetError, match=r"/data' failed: 500\."):
        download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience(3))
    assert len(server.requests) == 3


def test_what_another_try_cannot_help_is_tried_once(server: FileServer, tmp_path: Path, pauses: Pauses) -> None:
    server.statuses = [403]
    with pytest.raises(DatasetError, match="failed: 403"):
        download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience())
    assert len(server.requests) == 1


def test_a_wrong_checksum_is_refused_and_the_file_is_not_kept(
    server: FileServer, tmp_path: Path, pauses: Pauses
) -> None:
    with pytest.raises(DatasetError, match=f"has the SHA-256 {SHA256}, not {'0' * 64}"):
        download(f"{server.url}/data", tmp_path / "file", sha256="0" * 64, patience=pauses.patience())
    assert not (tmp_path / "file").exists()


def test_without_tqdm_a_line_says_how_far_it_is(
    server: FileServer,
    tmp_path: Path,
    pauses: Pauses,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    download(f"{server.url}/data", tmp_path / "file", patience=pauses.patience())
    assert capsys.readouterr().out == "data: 3.0 MB of 3.0 MB\n"


def zipped(text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a"), text)
    return content.getvalue()


@pytest.mark.parametrize("etag", ['"1"', None])
def test_an_archive_of_the_same_version_comes_from_the_cache(
    server: FileServer, tmp_path: Path, etag: str | None
) -> None:
    server.files["/data.zip"], server.etag = zipped("old"), etag
    cache = Cache(tmp_path / "cache")

    def text_of(query: str) -> str:
        fetch(f"{server.url}/data.zip{query}", tmp_path / "out", cache=cache, limits=ArchiveLimits())
        return (tmp_path / "out" / "a").read_text()

    assert text_of("") == text_of("") == "old"
    downloads = server.sent_bytes // len(zipped("old"))
    assert downloads == (3 if etag else 4)  # one more is asked for its version only, each time
    server.files["/data.zip"], server.etag = zipped("new"), etag and '"2"'
    assert text_of("") == "new"


def test_an_archive_with_a_checksum_that_is_in_the_cache_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    server.files["/data.zip"] = zipped("x")
    sha256 = hashlib.sha256(zipped("x")).hexdigest()
    cache = Cache(tmp_path / "cache")
    for name in ("one", "two"):
        used = fetch(f"{server.url}/data.zip", tmp_path / name, sha256=sha256, cache=cache, limits=ArchiveLimits())
        assert used.digest == f"sha256:{sha256}"
        assert (tmp_path / name / "a").read_text() == "x"
    assert len(server.requests) == 1
