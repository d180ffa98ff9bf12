"""Detects Git LFS pointers in place of data, left when a dataset is copied or packed without the files themselves."""

import re
from itertools import islice
from pathlib import Path

from .errors import DatasetError

LARGEST_BYTES = 1024  # as Git LFS has it
POINTER = re.compile(rb"version https://[^\n]*/spec/v1\r?\n(?:[^\n]*\n)*?oid sha256:[0-9a-f]{64}\r?\nsize [0-9]+\s*\Z")
NAMED_FILES = 5


def refuse_pointers(folder: Path, *, shown: str) -> None:
    """Raise DatasetError naming files that are pointers, because training on them would be meaningless."""
    found = sorted(islice(filter(_is_pointer, folder.rglob("*")), NAMED_FILES))
    if found:
        names = ", ".join(path.relative_to(folder).as_posix() for path in found)
        raise DatasetError(
            f"The dataset '{shown}' has Git LFS pointers in place of files: {names}. Fetch them where the "
            "dataset is made (git lfs pull), and publish it again."
        )


def _is_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_BYTES:
        return False
    return POINTER.match(path.read_bytes()) is not None
