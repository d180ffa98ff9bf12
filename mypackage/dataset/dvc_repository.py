"""Fetches datasets that a git repository tracks with DVC, at one revision, from the remote that it names."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..protocol import PINNED_DATASET_VARIABLE
from .addresses import keep_to_pin, parse_repository_address, secrets_in, shown
from .archives import inner_path
from .cache import Cache
from .contents import digest_of
from .errors import DatasetError, needed
from .git import clone
from .records import DatasetRecord

ADVICE = (
    'A dataset from a DVC repository needs DVC in the training image: pip install "dvc", with the extra of the '
    'remote that the repository uses, for example "dvc[azure]".'
)


@dataclass(frozen=True)
class DvcRepository:
    """The origin "dvc_repo". ``pin`` is the address with the revision that the service found for this job."""

    cache: Cache
    pin: str = ""
    form = "URL, URL@rev or URL@rev:path of a git repository"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Create it from the training's variables."""
        return cls(Cache.of(environment), environment.get(PINNED_DATASET_VARIABLE, ""))

    def check(self) -> None:
        """Check that DVC and git are installed."""
        _import("dvc.repo")
        if shutil.which("git") is None:
            raise DatasetError("A dataset from a DVC repository needs git in the training image.")

    def takes(self, address: str) -> bool:
        """Return whether there is an address; git knows many forms."""
        return bool(address)

    def secrets(self, address: str) -> Iterable[str]:
        """Return the repository's credentials; DVC finds those of its remote itself."""
        return secrets_in(parse_repository_address(address).url)

    def fetch(self, address: str, target: Path) -> DatasetRecord:
        """Clone the repository, and fetch what it tracks."""
        return fetch(keep_to_pin(address, self.pin), target, cache=self.cache)


def fetch(repo_url: str, target: Path, *, cache: Cache) -> DatasetRecord:
    """Put the dataset of URL, URL@rev or URL@rev:path into the folder; without a path, the one at the top.

    DVC finds the remote's credentials itself: in its environment variables, or the repository's configuration.
    """
    dvc = _import("dvc.repo")
    address = parse_repository_address(repo_url)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "repository"
        commit = clone(address.url, folder, address.rev)
        path = _inside(address.path, address.url) if address.path else _only_dataset(folder, address.url)
        root = _dvc_root(folder, path)
        with _explained(path, address.url), dvc.Repo(str(root), config=_private(Path(temporary))) as repository:
            inner = (folder / path).relative_to(root).as_posix()
            digest = _bring(repository.dvcfs, inner, target, cache, key=f"{shown(address.url)} {commit} {path}")
    return DatasetRecord("dvc_repo", repo=shown(address.url), rev=commit, path=path, digest=digest)


def _bring(files: Any, path: str, target: Path, cache: Cache, *, key: str) -> str:
    found = files.info(path)
    md5 = (found.get("dvc_info") or {}).get("md5")  # none for a folder tracked in parts, or by git

    def fill(folder: Path) -> str:
        place = folder / "files" if found["type"] == "directory" else folder / "files" / Path(path).name
        shutil.rmtree(folder / "files", ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        with _import("dvc.fs.callbacks").TqdmCallback(desc=path, unit="files") as callback:
            files.get(path, str(place), recursive=True, callback=callback)
        return f"md5:{md5}" if md5 else digest_of(place)

    return cache.bring(f"dvc {md5 or key} {Path(path).name}", target, fill)


def _only_dataset(folder: Path, url: str) -> str:
    pointers = sorted(folder.glob("[!.]*.dvc"))
    if len(pointers) != 1:
        names = ", ".join(path.name for path in pointers) or "none"
        raise DatasetError(
            f"'{shown(url)}' must have one .dvc file at its top, its dataset; it has: {names}. "
            "Name another one in the address: URL@rev:path."
        )
    return pointers[0].stem


def _inside(path: str, url: str) -> str:
    try:
        return inner_path(path).as_posix().removesuffix(".dvc")
    except ValueError as error:
        raise DatasetError(f"The path in '{shown(url)}' cannot be used: {error}.") from None


def _dvc_root(folder: Path, path: str) -> Path:
    """Return the nearest parent folder where DVC was initialised: a repository may contain several."""
    above = (each for each in (folder / path).parents if each.is_relative_to(folder))
    return next((each for each in above if (each / ".dvc").is_dir()), folder)


def _private(temporary: Path) -> dict[str, Any]:
    """Keep DVC's own cache and state off the machine, whatever the repository's configuration says."""
    places = {"cache": {"dir": str(temporary / "cache")}, "core": {"site_cache_dir": str(temporary / "site")}}
    return {**places, "core": {**places["core"], "analytics": False}}


@contextmanager
def _explained(path: str, url: str) -> Iterator[None]:
    # A hand-written listing with ".." in its names sends DVC into an endless loop.
    errors = (_import("dvc.exceptions").DvcException, OSError, RecursionError)
    try:
        yield
    except errors as error:
        raise DatasetError(f"Getting '{path}' of '{shown(url)}' with DVC failed: {error}") from error


def _import(name: str) -> Any:
    return needed(name, ADVICE)
