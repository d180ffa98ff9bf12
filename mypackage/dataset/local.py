"""Datasets on this machine, such as in a volume: a folder, a zip or tar archive, or any other file."""

import shutil
import tarfile
import zipfile
from pathlib import Path

from .archives import ArchiveLimits, unpack
from .contents import digest_of
from .errors import DatasetError
from .records import DatasetRecord


def fetch(path: str, target: Path, *, limits: ArchiveLimits) -> DatasetRecord:
    """Copy what is in the folder, unpack the archive, or copy the file into the target.

    Copies, not links: a training may write into its dataset, and the original must not change with it.
    """
    source = Path(path.removeprefix("file://")).expanduser()
    target.mkdir(parents=True, exist_ok=True)
    try:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif _is_archive(source):
            unpack(source, target, shown=str(source), limits=limits)
        else:
            shutil.copy(source, target / source.name)
    except (OSError, shutil.Error) as error:
        raise DatasetError(f"Copying '{source}' failed: {error}") from error
    return DatasetRecord("local", repo=str(source), digest=digest_of(source))


def _is_archive(file: Path) -> bool:
    return tarfile.is_tarfile(file) or zipfile.is_zipfile(file)
