"""Fetches datasets from Azure Blob storage: all blobs under a prefix, in parallel, resuming interrupted downloads."""

import hashlib
import importlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from .addresses import secrets_in, shown
from .archives import inner_path
from .cache import Cache
from .errors import DatasetError, PassingError, needed
from .patience import Patience, may_pass
from .progress import Progress
from .records import DatasetRecord

ADVICE = "A dataset in Azure needs its library in the image: pip install azure-storage-blob"
AT_A_TIME = 8
PART_BYTES = 4 << 20
TIMEOUT_SECONDS = 60
CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
SECRETS = ("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCESS_KEY")


@dataclass(frozen=True)
class AzureBlobs:
    """The origin "azure_blob"."""

    cache: Cache
    environment: Mapping[str, str] = field(repr=False)
    patience: Patience = field(default_factory=Patience)
    form = "https://account.blob.core.windows.net/container/prefix"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Create it from the training's variables."""
        return cls(Cache.of(environment), environment)

    def check(self) -> None:
        """Check that Azure's library is installed."""
        _import()

    def takes(self, address: str) -> bool:
        """Return whether it is an http or https address without a user."""
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and "@" not in parts.netloc

    def secrets(self, address: str) -> Iterable[str]:
        """Return the credentials of the account."""
        text = self.environment.get(CONNECTION_STRING, "")
        keys = [part.partition("=")[2] for part in text.split(";") if part.startswith(("AccountKey", "SharedAccess"))]
        return [*secrets_in(address), text, *keys, *(self.environment.get(name, "") for name in SECRETS)]

    def fetch(self, address: str, target: Path) -> DatasetRecord:
        """Download its blobs."""
        return fetch(address, target, cache=self.cache, environment=self.environment, patience=self.patience)


@dataclass(frozen=True)
class _Blob:
    name: str
    place: Path  # in the dataset's folder
    size: int
    etag: str
    md5: bytes | None

    @property
    def line(self) -> str:
        """Its part of the dataset's digest: the content's MD5 if Azure knows it, else its version."""
        return f"{self.md5.hex() if self.md5 else self.etag}  {self.size}  {self.place.as_posix()}\n"


def fetch(
    url: str,
    target: Path,
    *,
    cache: Cache,
    environment: Mapping[str, str] = os.environ,
    patience: Patience | None = None,
) -> DatasetRecord:
    """Put the blobs under https://account.blob.core.windows.net/container/prefix into the folder.

    AZURE_STORAGE_CONNECTION_STRING, or a SAS or key in one of the other variables, gives access to the account; a
    public container needs none. A SAS may also be part of the URL.
    """
    patience = patience or Patience()
    account, container_name, prefix = _split(url, environment)
    with _explained(url), account, account.get_container_client(container_name) as container:
        blobs = patience.persist(lambda: _list(container, prefix, url))
        digest = f"sha256:{hashlib.sha256(''.join(blob.line for blob in blobs).encode()).hexdigest()}"

        def fill(folder: Path) -> str:
            _download(container, blobs, folder / "files", url=url, patience=patience)
            return digest

        cache.bring(f"azure {' '.join(blob.etag for blob in blobs)} {digest}", target, fill)
    return DatasetRecord("azure_blob", repo=shown(url), path=prefix, digest=digest)


def _split(url: str, environment: Mapping[str, str]) -> tuple[Any, str, str]:
    """Return the account's client, the container's name and the prefix in it."""
    storage, address = _import(), urlsplit(url)
    options = {"retry_total": 0, "max_single_get_size": PART_BYTES, "max_chunk_get_size": PART_BYTES}
    options |= {"connection_timeout": TIMEOUT_SECONDS, "read_timeout": TIMEOUT_SECONDS}
    if text := environment.get(CONNECTION_STRING):
        account = storage.BlobServiceClient.from_connection_string(text, **options)
        base = shown(account.url).rstrip("/")
        if not shown(url).startswith(f"{base}/"):
            raise DatasetError(f"{CONNECTION_STRING} opens {base}, which '{shown(url)}' is not in.")
    else:
        first = "" if _names_account(address.hostname or "") else f"/{address.path.split('/')[1]}"
        base = f"{address.scheme}://{address.netloc}{first}"
        name = first[1:] or address.netloc.partition(".")[0]
        account = storage.BlobServiceClient(base, credential=_credential(address.query, name, environment), **options)
    container, _, prefix = unquote(shown(url)[len(base) + 1 :]).partition("/")
    return account, container, prefix.strip("/")


def _names_account(host: str) -> bool:
    """Return whether the host is an account's own; an emulator has the account's name in the path."""
    return "." in host and not host.replace(".", "").isdigit()


def _credential(query: str, account: str, environment: Mapping[str, str]) -> Any:
    if "sig=" in query:
        return query
    sas, key = environment.get(SECRETS[0]), next(filter(None, map(environment.get, SECRETS[1:])), None)
    return sas or ({"account_name": account, "account_key": key} if key else None)


def _list(container: Any, prefix: str, url: str) -> list[_Blob]:
    blobs = []
    with _explained(url):
        for found in container.list_blobs(name_starts_with=prefix or None, include=["metadata"]):
            is_folder = found.name.endswith("/") or (found.metadata or {}).get("hdi_isfolder") == "true"
            if is_folder or not (found.name == prefix or not prefix or found.name.startswith(f"{prefix}/")):
                continue
            inner = found.name[len(prefix) :] or found.name.rpartition("/")[2]
            blobs.append(_blob(found, inner.removeprefix("/"), url))
    if not blobs:
        raise DatasetError(f"There is no blob in '{shown(url)}'.")
    return sorted(blobs, key=lambda blob: blob.name)


def _blob(found: Any, inner: str, url: str) -> _Blob:
    md5 = found.content_settings.content_md5
    try:
        place = inner_path(inner)
    except ValueError as error:
        raise DatasetError(f"A blob of '{shown(url)}' cannot be used: {error}.") from None
    return _Blob(found.name, place, found.size, f'"{found.etag.strip(chr(34))}"', bytes(md5) if md5 else None)


def _download(container: Any, blobs: list[_Blob], folder: Path, *, url: str, patience: Patience) -> None:
    here = sum(_size(folder / blob.place) for blob in blobs)
    total = sum(blob.size for blob in blobs)
    with Progress(shown(url), total, done=here) as progress, ThreadPoolExecutor(AT_A_TIME) as pool:

        def bring(blob: _Blob) -> None:
            file = folder / blob.place
            file.parent.mkdir(parents=True, exist_ok=True)
            patience.persist(lambda: _go_on(container, blob, file, progress, url), size=lambda: _size(file))
            _verify(blob, file, url)

        futures = [pool.submit(bring, blob) for blob in blobs]
        try:
            for future in futures:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _go_on(container: Any, blob: _Blob, file: Path, progress: Progress, url: str) -> None:
    """Download the missing part of the version that was listed."""
    have = _size(file)
    with _explained(url), file.open("ab") as out:
        if have >= blob.size:
            return
        unchanged = importlib.import_module("azure.core").MatchConditions.IfNotModified
        client = container.get_blob_client(blob.name)
        stream = client.download_blob(offset=have, etag=blob.etag, match_condition=unchanged, decompress=False)
        for chunk in stream.chunks():
            out.write(chunk)
            progress.add(len(chunk))


def _verify(blob: _Blob, file: Path, url: str) -> None:
    with file.open("rb") as content:
        is_right = file.stat().st_size == blob.size
        if is_right and (not blob.md5 or hashlib.file_digest(content, "md5").digest() == blob.md5):
            return
    file.unlink()
    raise DatasetError(f"'{blob.name}' of '{shown(url)}' is not what its MD5 says: it is damaged.")


@contextmanager
def _explained(url: str) -> Iterator[None]:
    # An error's own text may repeat the URL, with a signature that may be in it.
    errors = importlib.import_module("azure.core.exceptions")
    failed = f"Getting '{shown(url)}' from Azure failed"
    try:
        yield
    except (errors.ServiceRequestError, errors.ServiceResponseError, errors.DecodeError) as error:
        raise PassingError(f"{failed}: {type(error).__name__}.") from None
    except errors.AzureError as error:
        status = getattr(error, "status_code", None)
        what = getattr(error, "error_code", None) or status or type(error).__name__
        kind = PassingError if status and may_pass(status) else DatasetError
        raise kind(f"{failed}: {what}. Is the address right, and is AZURE_STORAGE_… set?") from None


def _import() -> Any:
    return needed("azure.storage.blob", ADVICE)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
