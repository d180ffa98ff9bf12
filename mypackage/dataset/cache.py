"""Datasets that are here already: a folder that all jobs of a host may share (RETRAIN_CACHE).

entries/<key>/   files/, and what is known of them; published by a rename, so it is whole or not there
partial/<key>/   on its way; a later job goes on with it
locks/<key>      held shared by who copies an entry, exclusively by who fills or removes it
"""

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..protocol import CACHE_BYTES_VARIABLE, CACHE_VARIABLE
from .archives import move_into
from .errors import DatasetError

MAX_BYTES = 100 * 10**9
Fill = Callable[[Path], str]  # puts the dataset into the folder's "files", and returns its digest


class Cache:
    """The folder, or none: then every dataset is fetched anew."""

    def __init__(self, folder: Path | None, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Cache":
        """The cache that RETRAIN_CACHE names; RETRAIN_CACHE_MAX_BYTES bounds it."""
        folder, most = environment.get(CACHE_VARIABLE), environment.get(CACHE_BYTES_VARIABLE)
        try:
            return cls(Path(folder).absolute() if folder else None, max_bytes=int(most or MAX_BYTES))
        except ValueError:
            raise DatasetError(f"{CACHE_BYTES_VARIABLE} is {most!r}; it must be a number of bytes.") from None

    @property
    def is_on(self) -> bool:
        """Whether anything is kept."""
        return self._folder is not None

    def bring(self, key: str | None, target: Path, fill: Fill) -> str:
        """Put the dataset of this key into the target and return its digest; ``fill`` fetches it if it is not here.

        After a failure ``fill`` finds again what it had put into its folder. Without a key nothing is kept.
        """
        if self._folder is None or key is None:
            return _bring_uncached(target, fill)
        name = hashlib.sha256(key.encode()).hexdigest()
        entry = self._folder / "entries" / name
        while not (digest := self._copy(entry, target)):
            self._fill(entry, fill)
            self._make_room(entry)
        return digest

    def _copy(self, entry: Path, target: Path) -> str:
        with self._locked(entry.name, exclusively=False):
            if not entry.exists():
                return ""
            os.utime(entry)
            with folder_beside(target) as temporary:
                shutil.copytree(entry / "files", temporary / "files", symlinks=True)
                move_into(temporary / "files", target)
            return str(json.loads((entry / "about.json").read_text())["digest"])

    def _fill(self, entry: Path, fill: Fill) -> None:
        with self._locked(entry.name, exclusively=True):
            if entry.exists():  # another job was faster
                return
            partial = self._made("partial") / entry.name
            partial.mkdir(exist_ok=True)
            digest = fill(partial)
            about = {"digest": digest, "size": _size(partial)}
            (partial / "about.json").write_text(json.dumps(about))
            partial.replace(self._made("entries") / entry.name)

    def _make_room(self, newest: Path) -> None:
        """Remove what was not used for longest until the rest fits; what is in use stays."""
        self._empty_bin()
        found = [*self._made("entries").iterdir(), *self._made("partial").iterdir()]
        sizes = {path: _size(path) for path in found}
        total = sum(sizes.values())
        for path in sorted(set(found) - {newest}, key=_used_at):
            if total <= self._max_bytes:
                return
            if self._remove(path):
                total -= sizes[path]

    def _remove(self, path: Path) -> bool:
        try:
            with self._locked(path.name, exclusively=True, wait=False):
                path.replace(self._made("bin") / uuid.uuid4().hex)  # so that no half of it can be taken for the whole
        except (BlockingIOError, FileNotFoundError):
            return False
        self._empty_bin()
        return True

    def _empty_bin(self) -> None:
        for path in self._made("bin").iterdir():
            shutil.rmtree(path, ignore_errors=True)  # another job may be at it too

    def _made(self, name: str) -> Path:
        assert self._folder is not None  # noqa: S101 - for the type checker: bring() has looked
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def _locked(self, name: str, *, exclusively: bool, wait: bool = True) -> Iterator[None]:
        import fcntl  # noqa: PLC0415 - not on Windows, where the rest of this module works

        kind = fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH
        with (self._made("locks") / name).open("a") as file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                print("Waiting for another job that fetches the same dataset ...", flush=True)  # noqa: T201
                fcntl.flock(file, kind)
            yield


def _bring_uncached(target: Path, fill: Fill) -> str:
    with folder_beside(target) as temporary:
        digest = fill(temporary)
        move_into(temporary / "files", target)
        return digest


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A folder on the target's disk that goes with the block: what is to be there whole is made in it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetching-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # removed by another job
        return 0


def _size(folder: Path) -> int:
    about = folder / "about.json"
    if about.exists():
        return int(json.loads(about.read_text())["size"])
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
