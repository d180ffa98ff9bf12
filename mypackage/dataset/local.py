"""Copies datasets on this machine, such as in a volume: a folder, a zip or tar archive, or any other file."""

import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .archives import ArchiveLimits, move_into, unpack
from .cache import folder_beside
from .contents import digest_of
from .errors import DatasetError
from .records import DatasetRecord


@dataclass(frozen=True)
class LocalFiles:
    """The origin "local"."""

    limits: ArchiveLimits
    form = "a path, such as /mnt/data/set or data.zip"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Create it from the training's variables."""
        return cls(ArchiveLimits.of(environment))

    def check(self) -> None:
        """Do nothing: it needs no library."""

    def takes(self, address: str) -> bool:
        """Return whether it is a path, or a file:// address."""
        return bool(address) and "://" not in address.removeprefix("file://")

    def secrets(self, address: str) -> Iterable[str]:
        """Return nothing: a path contains no secrets."""
        return ()

    def fetch(self, address: str, target: Path) -> DatasetRecord:
        """Copy or unpack it."""
        return fetch(address, target, limits=self.limits)


def fetch(path: str, target: Path, *, limits: ArchiveLimits) -> DatasetRecord:
    """Copy the folder's contents, unpack the archive, or copy the file into the target.

    It copies instead of linking: a training may write into its dataset, and the original must not change.
    """
    source = Path(path.removeprefix("file://")).expanduser()
    try:
        with folder_beside(target) as temporary:
            _copy(source, temporary / "files", limits)
            move_into(temporary / "files", target)
    except (OSError, shutil.Error) as error:
        raise DatasetError(f"Copying '{source}' failed: {error}") from error
    return DatasetRecord("local", repo=str(source), digest=digest_of(source))


def _copy(source: Path, folder: Path, limits: ArchiveLimits) -> None:
    if source.is_dir():
        shutil.copytree(source, folder)
    elif _is_archive(source):
        unpack(source, folder, shown=str(source), limits=limits)
    else:
        folder.mkdir()
        shutil.copy(source, folder / source.name)


def _is_archive(file: Path) -> bool:
    return tarfile.is_tarfile(file) or zipfile.is_zipfile(file)
