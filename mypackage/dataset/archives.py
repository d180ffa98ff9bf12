"""Unpacks untrusted zip and tar archives: completely, and only inside the folder, or not at all.

It uses its own rules rather than tarfile's data filter, which some Pythons lack and which could be bypassed in others.
Files are written before any link is created, so no link can redirect a file; then each link is checked in its place.
"""

import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import DatasetError

CHUNK_BYTES = 1 << 20
HARMLESS_BYTES = 1 << 28  # up to here no ratio is suspicious: zeros compress 1000 to 1
DRIVE = re.compile(r"^[A-Za-z]:")
UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, tarfile.TarError, zipfile.BadZipFile)
UNDECODABLE = (zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may unpack to; anything beyond is treated as a bomb."""

    max_bytes: int = 10**12
    max_ratio: int = 200
    max_entries: int = 5_000_000

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "ArchiveLimits":
        """Return the defaults, overridden by RETRAIN_UNPACK_MAX_BYTES, _MAX_RATIO and _MAX_ENTRIES."""
        given = {name: environment.get(f"RETRAIN_UNPACK_{name.upper()}") for name in cls.__dataclass_fields__}
        try:
            return cls(**{name: int(text) for name, text in given.items() if text})
        except ValueError as error:
            raise DatasetError(f"RETRAIN_UNPACK_MAX_BYTES, _MAX_RATIO and _MAX_ENTRIES are numbers: {error}") from None


def unpack(archive: Path, target: Path, *, shown: str, limits: ArchiveLimits) -> None:
    """Unpack the archive into the folder; a failure leaves nothing there. ``shown`` names the archive in errors."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unpacking-") as temporary:
        folder = Path(temporary) / "files"
        folder.mkdir()
        writing = _Writing(folder, limits, archive.stat().st_size)
        try:
            if tarfile.is_tarfile(archive):
                _unpack_tar(archive, writing)
            else:
                _unpack_zip(archive, writing)
            move_into(folder, target)
        except (*UNREADABLE, *UNDECODABLE) as error:
            raise DatasetError(f"'{shown}' cannot be unpacked as a zip or tar archive: {error}") from None


def move_into(folder: Path, target: Path) -> None:
    """Move the folder's contents into the target, next to what is there; a file of the same name is replaced.

    Entry by entry, because the target may be a volume, or a link to where there is room.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        place = target / path.name
        if path.is_dir() and not path.is_symlink() and place.is_dir():
            move_into(path, place)
        elif place.is_dir() and not place.is_symlink():
            raise IsADirectoryError(f"'{place}' is a folder already")
        else:
            place.unlink(missing_ok=True)
            shutil.move(path, place)


def inner_path(name: str) -> Path:
    """Return the path of an entry inside a folder; raise ValueError if it leads outside. A backslash is a slash."""
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if slashed.startswith("/") or DRIVE.match(slashed) or ".." in parts or "\0" in name:
        raise ValueError(f"its entry {name[:200]!r} lies outside of it")
    return Path(*parts)


@dataclass
class _Writing:
    """One archive being unpacked into a folder, and how much was unpacked so far."""

    folder: Path
    limits: ArchiveLimits
    archive_bytes: int
    written_bytes: int = 0
    entries: int = 0

    def place(self, name: str) -> Path:
        """Return where an entry goes."""
        self.entries += 1
        if self.entries > self.limits.max_entries:
            raise ValueError(f"it has more than {self.limits.max_entries} entries (RETRAIN_UNPACK_MAX_ENTRIES)")
        return self.folder / inner_path(name)

    def folder_at(self, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)

    def file_at(self, place: Path, content: IO[bytes]) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            while chunk := content.read(CHUNK_BYTES):
                self._count(len(chunk))
                file.write(chunk)

    def copy_at(self, place: Path, source: Path) -> None:
        with source.open("rb") as content:
            self.file_at(place, content)

    def links_at(self, targets: Mapping[Path, str]) -> None:
        for place, target in targets.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
        root = self.folder.resolve()
        for place, target in targets.items():
            # Strict, because what leads nowhere now may lead somewhere later.
            if Path(target).is_absolute() or not place.resolve(strict=True).is_relative_to(root):
                raise ValueError(f"its link {place.name!r} leads outside of it")

    def _count(self, count: int) -> None:
        self.written_bytes += count
        if self.written_bytes > self.limits.max_bytes:
            raise ValueError(f"it unpacks to more than {self.limits.max_bytes} bytes (RETRAIN_UNPACK_MAX_BYTES)")
        if self.written_bytes > max(HARMLESS_BYTES, self.archive_bytes * self.limits.max_ratio):
            most = self.limits.max_ratio
            raise ValueError(f"it unpacks to more than {most} times its size (RETRAIN_UNPACK_MAX_RATIO)")


def _unpack_zip(archive: Path, writing: _Writing) -> None:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            place, kind = writing.place(entry.filename), stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ValueError(f"its entry {entry.filename[:200]!r} is neither a file nor a folder")
            if entry.is_dir() or kind == stat.S_IFDIR:
                writing.folder_at(place)
            else:
                with opened.open(entry) as content:
                    writing.file_at(place, content)


def _unpack_tar(archive: Path, writing: _Writing) -> None:
    symlinks: dict[Path, str] = {}
    files: set[Path] = set()
    with tarfile.open(archive) as opened:
        for entry in opened:
            place = writing.place(entry.name)
            if entry.isdir():
                writing.folder_at(place)
            elif entry.isreg() and (content := opened.extractfile(entry)):
                writing.file_at(place, content)
                files.add(place)
            elif entry.issym():
                symlinks[place] = entry.linkname
            elif entry.islnk() and (source := writing.folder / inner_path(entry.linkname)) in files:
                writing.copy_at(place, source)  # a second name of a file would change with the first
            else:
                raise ValueError(f"its entry {entry.name[:200]!r} is not a file, a folder, or a link to one in it")
    writing.links_at(symlinks)
