"""Recognises Git LFS pointers: a few lines in a repository in place of a file that is stored elsewhere."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST_BYTES = 1024  # as Git LFS has it
POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\r?\n(?:ext-[^\n]*\n)*"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\r?\nsize (?P<size>[0-9]{1,18})\s*\Z"
)


@dataclass(frozen=True)
class Pointer:
    """A pointer file in the work tree, and the content that it refers to."""

    path: str
    oid: str
    size: int


def find_pointers(folder: Path, paths: Iterable[str]) -> Iterator[Pointer]:
    """Yield the work tree's files that are pointers, whatever .gitattributes says."""
    for path in paths:
        file = folder / path
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST_BYTES:
            continue
        if match := POINTER.match(file.read_bytes()):
            yield Pointer(path, match["oid"].decode(), int(match["size"]))
