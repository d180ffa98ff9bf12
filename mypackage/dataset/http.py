"""Fetches archives over HTTP, resuming interrupted downloads."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urldefrag, urlsplit

import requests  # MLflow's own HTTP library, so it is always here

from .addresses import host, secrets_in, shown
from .archives import ArchiveLimits, unpack
from .cache import Cache
from .errors import DatasetError, PassingError
from .patience import Patience, may_pass
from .progress import Progress
from .records import DatasetRecord

TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 16  # an interruption loses the current chunk
PLAIN = {"Accept-Encoding": "identity"}  # a compressed transfer could not be resumed
CUT = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
CHECKSUM = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class HttpArchive:
    """The origin "http"."""

    cache: Cache
    limits: ArchiveLimits
    patience: Patience = field(default_factory=Patience)
    form = "https://host/data.zip, ending in #sha256=… if you know it"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Create it from the training's variables."""
        return cls(Cache.of(environment), ArchiveLimits.of(environment))

    def check(self) -> None:
        """Do nothing: it needs no more than MLflow does."""

    def takes(self, address: str) -> bool:
        """Return whether it is an http or https address."""
        return urlsplit(address).scheme in ("http", "https")

    def secrets(self, address: str) -> Iterable[str]:
        """Return the credentials in the address."""
        return secrets_in(address)

    def fetch(self, address: str, target: Path) -> DatasetRecord:
        """Download and unpack it."""
        return fetch(address, target, cache=self.cache, limits=self.limits, patience=self.patience)


def with_checksum(url: str, sha256: str) -> str:
    """Return the URL with its content's checksum at its end, if there is one."""
    return f"{urldefrag(url).url}#sha256={sha256}" if sha256 else url


def fetch(
    url: str, target: Path, *, cache: Cache, limits: ArchiveLimits, sha256: str = "", patience: Patience | None = None
) -> DatasetRecord:
    """Download a zip or tar archive and unpack it into the folder.

    The checksum may also be at the URL's end: #sha256=…
    """
    url, fragment = urldefrag(url)
    checksum = (sha256 or (fragment[7:] if fragment.startswith("sha256=") else "")).lower().removeprefix("sha256:")
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
    """Download the content into the file, resuming if it exists, and return its digest, ``sha256:…``."""
    patience.persist(lambda: _go_on(url, file), size=lambda: _size(file))
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if sha256 and digest != sha256:
        file.unlink()
        raise DatasetError(f"'{shown(url)}' has the SHA-256 {digest}, not {sha256}: it is damaged, or another file.")
    return f"sha256:{digest}"


def _key(url: str, checksum: str, patience: Patience) -> str | None:
    """Return a cache key: the checksum, else the URL with the server's version of the content, if it has one."""
    if checksum:
        return f"sha256 {checksum}"
    address = urlsplit(url)
    public = address._replace(netloc=host(address)).geturl()
    version = patience.persist(lambda: _ask_version(url))
    return f"http {public} {version}" if version else None


def _ask_version(url: str) -> str:
    with _explained(url), requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=PLAIN) as response:
        response.raise_for_status()
        return _validator(response)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    # An error's own text repeats the URL, with a signature or password that may be in it.
    failed = f"Downloading '{shown(url)}' failed"
    try:
        yield
    except requests.HTTPError as error:
        status, after = error.response.status_code, error.response.headers.get("Retry-After", "")
        if may_pass(status):
            seconds = float(after) if after.isdigit() else None
            raise PassingError(f"{failed}: {status}.", after_seconds=seconds) from None
        raise DatasetError(f"{failed}: {status}.") from None
    except CUT as error:
        raise PassingError(f"{failed}: {type(error).__name__}.") from None
    except requests.RequestException as error:
        raise DatasetError(f"{failed}: {type(error).__name__}.") from None


def _go_on(url: str, file: Path) -> None:
    """Request the missing part; if the server has another version by now, it sends all of that instead."""
    note = file.with_name(f"{file.name}.version")
    have, version = _size(file), note.read_text() if note.exists() else ""
    rest = {"Range": f"bytes={have}-", "If-Range": version} if have and version else {}
    with _explained(url), requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=PLAIN | rest) as response:
        if response.status_code == 416 and response.headers.get("Content-Range") == f"bytes */{have}":
            return  # nothing is missing
        if response.status_code == 416:
            file.unlink()
            raise requests.ConnectionError
        response.raise_for_status()
        goes_on = response.status_code == 206
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            note.unlink()
            raise requests.ConnectionError
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
        raise requests.ConnectionError


def _validator(response: requests.Response) -> str:
    """Return a value for If-Range: a strong ETag, or a date. Empty if the transfer was encoded and cannot resume."""
    etag = response.headers.get("ETag", "")
    if "Content-Encoding" in response.headers:
        return ""
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
