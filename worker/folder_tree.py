"""Removes and measures folder trees of any depth: Python's own functions recurse, and a repository may be too deep."""

import itertools
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 512  # the unit of st_blocks, whatever the disk's blocks are


def remove_tree(folder: Path) -> None:
    """Remove a folder and its contents, or a file or link; raise FileNotFoundError if there is none.

    Nested folders are moved up first, so that no path gets too long, and get back any permissions that a training
    script removed: without those they cannot be emptied.
    """
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    prefix, numbers = secrets.token_hex(8), itertools.count()
    folder.chmod(stat.S_IRWXU)
    folders = [folder]
    for current in folders:  # grows during the loop
        with os.scandir(current) as scanned:
            entries = list(scanned)
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            with suppress(PermissionError):
                os.chmod(entry.path, stat.S_IRWXU)
            folders.append(Path(entry.path).rename(folder / f"{prefix}-{next(numbers)}"))
    for current in reversed(folders):
        current.rmdir()


def tree_bytes(folder: Path) -> int:
    """Return the disk space of a folder and its contents; entries that vanish or cannot be read do not count."""
    total, folders = 0, [os.fspath(folder)]
    for current in folders:  # grows during the loop
        with suppress(OSError), os.scandir(current) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    return total


def free_bytes(folder: Path) -> int:
    """Return the free space on the disk where the folder is, or will be."""
    here = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(here).free
