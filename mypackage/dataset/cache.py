"""Caches datasets in a folder that all jobs of a host may share (RETRAIN_CACHE).

entries/<key>/   files/, and what is known about them; published by a rename, so it is complete or absent
partial/<key>/   being fetched; a later job resumes it
locks/<key>      held shared while copying an entry, exclusively while filling or removing it
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
    """The cache in a folder; without one, every dataset is fetched again."""

    def __init__(self, folder: Path | None, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Cache":
        """Return the cache that RETRAIN_CACHE names; RETRAIN_CACHE_MAX_BYTES limits its size."""
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
        """Copy the dataset of this key to the target and return its digest; if it is not cached, ``fill`` fetches it.

        After a failure, ``fill`` finds its folder as it left it. Without a key, nothing is kept.
        """
        if self._folder is None or key is None:
            return _bring_uncached(target, fill)
        try:
            return self._bring_cached(key, target, fill)
        except PermissionError as error:
            print(f"The cache of datasets is not used: {error}", flush=True)  # noqa: T201
            return _bring_uncached(target, fill)

    def _bring_cached(self, key: str, target: Path, fill: Fill) -> str:
        assert self._folder is not None  # noqa: S101 - for the type checker: bring() has looked
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
        """Remove the least recently used entries until the rest fits; entries in use stay."""
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
                path.replace(
                    self._made("bin") / uuid.uuid4().hex
                )  # so that half an entry cannot be taken for a complete one
        except (BlockingIOError, FileNotFoundError):
            return False
        self._empty_bin()
        return True

    def _empty_bin(self) -> None:
        for path in self._made("bin").iterdir():
            shutil.rmtree(path, ignore_errors=True)  # another job may be doing the same

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
    """Create a temporary folder on the target's disk, for preparing what must appear there complete."""
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
