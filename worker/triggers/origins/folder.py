"""Looks at a folder of this machine: the names, sizes and times of its files. Only below TRIGGER_FOLDERS."""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import Code, UserError
from shared.settings import Settings
from worker.triggers.origins.seam import Asking, Revision, aside

MOST_FILES = 200_000


def takes(address: str, _settings: Settings) -> bool:
    """Return whether it is file:///folder; one with a revision, or that ends in .git, is a repository."""
    return address.startswith("file://")


def look(address: str, asking: Asking) -> Revision:
    """Read the folder, or the one file."""
    return aside(lambda over: _read(_permitted(address, asking.settings), address, over), asking.deadline, what=address)


def _permitted(address: str, settings: Settings) -> Path:
    """Return the real path; raise UserError unless the operator lets it be looked at, whether it exists or not."""
    parts = urlsplit(address)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise UserError(Code.INVALID_PARAMETER, f"{address} is not a folder; write file:///absolute/path")
    try:
        real, allowed = Path(path).resolve(), [Path(folder).resolve() for folder in settings.trigger_folders]
    except (OSError, RuntimeError):  # a loop of symlinks
        real, allowed = Path(path), []
    if not any(real.is_relative_to(folder) for folder in allowed):
        message = f"{address} is not below a folder that this service looks at (setting TRIGGER_FOLDERS)."
        raise UserError(Code.INVALID_PARAMETER, message, setting="TRIGGER_FOLDERS")
    return real


def _read(path: Path, address: str, over: threading.Event) -> Revision:
    if not path.exists():
        message = f"There is no {address} on this worker's host. A folder that triggers look at is on each of them."
        raise UserError(Code.INVALID_PARAMETER, message)
    lines = []
    for line in _lines(path, address):
        lines.append(line)
        if len(lines) > MOST_FILES:
            message = f"There are more than {MOST_FILES} files below {address}. Name a folder further down."
            raise UserError(Code.INVALID_PARAMETER, message)
        if over.is_set():
            break
    digest = hashlib.sha256("".join(sorted(lines)).encode(errors="surrogateescape"))
    return Revision(f"sha256:{digest.hexdigest()}", {"files": len(lines)})


def _lines(path: Path, address: str) -> Iterator[str]:
    """Yield a line for each file. A symlink counts as the name that it has in it, and is not followed."""

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # somebody removes folders meanwhile
            where = "" if error.filename == str(path) else " all of"
            raise UserError(Code.INVALID_PARAMETER, f"This worker may not read{where} {address}: {error.strerror}.")

    if not path.is_dir():
        yield from _line(path, path.name)
        return
    for folder, folders, files in os.walk(path, onerror=unreadable):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*files, *links):
            here = Path(folder, name)
            yield from _line(here, str(here.relative_to(path)))


def _line(file: Path, name: str) -> Iterator[str]:
    try:
        seen = file.lstat()
        leads = os.readlink(file) if stat.S_ISLNK(seen.st_mode) else ""
    except FileNotFoundError:
        return
    yield f"{name}\0{seen.st_size}\0{seen.st_mtime_ns}\0{leads}\n"
