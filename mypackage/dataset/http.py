"""Downloads over HTTP that go on where they were cut, and archives that are fetched with them."""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urldefrag, urlsplit

import requests  # MLflow's own HTTP library, so it is always here

from .addresses import host, shown
from .archives import Limits, unpack
from .cache import Cache
from .errors import DatasetError
from .progress import Progress
from .records import DatasetRecord

TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 16  # a cut loses the chunk that it is in
LONGEST_WAIT_SECONDS = 300.0
PASSING = (408, 425, 429)  # and all of 500 and more
CHECKSUM = re.compile(r"^[0-9a-f]{64}$")
T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How often a transfer is taken up again without any progress, and after which pauses."""

    failures: int = 6
    first_pause_seconds: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def pause(self, failures: int, asked_for: str | None) -> None:
        """Wait: so long as the server asked for, else twice as long after each failure."""
        seconds = float(asked_for) if asked_for and asked_for.isdigit() else self.first_pause_seconds * 2**failures
        self.sleep(min(seconds, LONGEST_WAIT_SECONDS))


class _Cut(requests.RequestException):
    """The connection ended before the content did."""


def fetch(
    url: str, target: Path, *, cache: Cache, limits: Limits, sha256: str = "", patience: Patience | None = None
) -> DatasetRecord:
    """Download a zip or tar archive and unpack it into the folder. A checksum may also end the URL: #sha256=…"""
    url, fragment = urldefrag(url)
    checksum = (sha256 or (fragment[7:] if fragment.startswith("sha256=") else "")).lower().removeprefix("sha256:")
    if urlsplit(url).scheme not in ("http", "https"):
        raise DatasetError(f"'{shown(url)}' is no http or https address.")
    if checksum and not CHECKSUM.match(checksum):
        raise DatasetError(f"The SHA-256 of '{shown(url)}' must be 64 hexadecimal digits.")
    patience = patience or Patience()

    def fill(folder: Path) -> str:
        archive = folder / "archive"
        digest = download(url, archive, sha256=checksum, patience=patience)
        unpack(archive, folder / "files", shown=shown(url), limits=limits)
        for path in folder.glob("archive*"):
            path.unlink()
        return digest

    key = _key(url, checksum, patience) if cache.is_on else None
    return DatasetRecord("http", repo=shown(url), digest=cache.bring(key, target, fill))


def download(url: str, file: Path, *, sha256: str = "", patience: Patience) -> str:
    """Bring the content into the file, going on with what that has, and return its digest, ``sha256:…``."""
    _persist(url, lambda: _go_on(url, file), size=lambda: _size(file), patience=patience)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if sha256 and digest != sha256:
        file.unlink()
        raise DatasetError(f"'{shown(url)}' has the SHA-256 {digest}, not {sha256}: it is damaged, or another file.")
    return f"sha256:{digest}"


def _key(url: str, checksum: str, patience: Patience) -> str | None:
    """What stands for the content: its checksum, else the URL with the server's word for the version, if it has one."""
    if checksum:
        return f"sha256 {checksum}"

    def ask() -> str:
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers={"Accept-Encoding": "identity"}) as answer:
            answer.raise_for_status()
            return _validator(answer)

    address = urlsplit(url)
    public = address._replace(netloc=host(address)).geturl()
    version = _persist(url, ask, size=lambda: 0, patience=patience)
    return f"http {public} {version}" if version else None


def _persist(url: str, call: Callable[[], T], *, size: Callable[[], int], patience: Patience) -> T:
    failures, reached = 0, size()
    while True:
        try:
            return call()
        except requests.RequestException as error:
            failures, reached = (0, size()) if size() > reached else (failures + 1, reached)
            # The error's own text repeats the URL, with a signature or password that may be in it.
            status = error.response.status_code if error.response is not None else None
            if not _may_pass(error, status) or failures >= patience.failures:
                raise DatasetError(f"Downloading '{shown(url)}' failed: {status or type(error).__name__}.") from None
            patience.pause(failures, error.response.headers.get("Retry-After") if error.response is not None else None)


def _may_pass(error: requests.RequestException, status: int | None) -> bool:
    if status is not None:
        return status >= 500 or status in PASSING
    cuts = (_Cut, requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, cuts)


def _go_on(url: str, file: Path) -> None:
    """Ask for what is missing; a server that has another version meanwhile sends all of that instead."""
    note = file.with_name(f"{file.name}.version")
    have, version = _size(file), note.read_text() if note.exists() else ""
    headers = {"Accept-Encoding": "identity"}
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response:
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
            return  # nothing is missing
        if response.status_code == 416:
            file.unlink()
            raise _Cut
        response.raise_for_status()
        goes_on = response.status_code == 206
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            note.unlink()
            raise _Cut
        if not goes_on:
            note.write_text(_validator(response))
        _write(response, file, have if goes_on else 0)


def _write(response: requests.Response, file: Path, have: int) -> None:
    length = None if "Content-Encoding" in response.headers else response.headers.get("Content-Length")
    total = have + int(length) if length else None
    what = Path(urlsplit(response.url).path).name or "download"
    with Progress(what, total, done=have) as progress, file.open("ab" if have else "wb") as out:
        for chunk in response.iter_content(CHUNK_BYTES):
            out.write(chunk)
            progress.add(len(chunk))
    if total is not None and _size(file) < total:
        raise _Cut


def _validator(response: requests.Response) -> str:
    """What If-Range may hold: a strong ETag, or a date. Empty where what was decoded could not be gone on with."""
    etag = response.headers.get("ETag", "")
    if "Content-Encoding" in response.headers:
        return ""
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
