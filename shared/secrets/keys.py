"""Keys of which there are two while one takes the other's place: all open, the last one seals. Needs only Python.

A file of keys is changed in place, since a container sees no file that takes its place, and in steps that leave every
part of a write harmless: a line is added, or an old one becomes a comment.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

NEXT = "next"  # before a key that only opens, so that all hosts know it before the first one seals with it
WORD = re.compile(r"[\s,]+")


def keys_in(text: str) -> tuple[str, ...]:
    """Return the keys; the one that seals is the last."""
    opening: list[str] = []
    used: list[str] = []
    for line in text.splitlines():
        mark, *rest = [word for word in WORD.split(line.partition("#")[0]) if word] or [""]
        if mark == NEXT:
            opening += rest
        elif mark:
            used += [mark, *rest]
    sealing = used[-1:]
    return tuple(dict.fromkeys(each for each in (*opening, *used) if each not in sealing)) + tuple(sealing)


class KeyFile:
    """A file of keys."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys, the one that seals last."""
        return keys_in(self._path.read_text())

    @property
    def changed_at(self) -> float:
        """When it was changed, in seconds since the epoch."""
        return self._path.stat().st_mtime

    @property
    def waiting(self) -> str | None:
        """The key that only opens yet."""
        used = keys_in("\n".join(line for line in self._lines() if not line.startswith(NEXT)))
        return next((key for key in self.keys if key not in used), None)

    def add(self, key: str) -> None:
        """Add one that opens."""
        self._append(f"{NEXT} {key}")

    def use(self, key: str) -> None:
        """Seal with it from now on."""
        self._append(key)

    def drop(self) -> None:
        """Keep only the key that seals."""
        sealing, at = self.keys[-1], 0
        with self._path.open("r+b", buffering=0) as file:
            for line in file.read().splitlines(keepends=True):
                text = line.decode().strip()
                if text and not text.startswith("#") and keys_in(text) != (sealing,):
                    os.pwrite(file.fileno(), b"#" * len(line.rstrip(b"\r\n")), at)
                at += len(line)

    def _lines(self) -> list[str]:
        return [line.strip() for line in self._path.read_text().splitlines()]

    def _append(self, line: str) -> None:
        begins = "" if self._path.read_bytes().endswith(b"\n") else "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, f"{begins}{line}\n".encode())
        finally:
            os.close(descriptor)


class Reader:
    """Reads a file again when it was changed."""

    def __init__(self, path: Path, use: Callable[[tuple[str, ...]], object]) -> None:
        self._path, self._use = path, use
        self._seen: tuple[int, int] | None = None

    def look(self) -> None:
        """Pass the keys on if they may be others than before."""
        found = self._path.stat()
        seen = found.st_mtime_ns, found.st_size
        if seen != self._seen:
            self._use(keys_in(self._path.read_text()))
            self._seen = seen
