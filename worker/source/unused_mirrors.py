"""Removes mirrors that no attempt uses: by age, or the least recently used one when the disk is full."""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from worker.folder_tree import remove_tree
from worker.source.mirror import USES, lock_of

# An attempt releases its mirror's lock for a moment, between the fetch and the copy.
JUST_USED_SECONDS = 600
GOING = ".going"

logger = logging.getLogger(__name__)


def remove_unused_mirrors(mirrors: Path, older_than_seconds: float) -> int:
    """Remove the mirrors that have not been used for that long; return how many."""
    _finish_removals(mirrors)
    return sum(_remove(mirror, unused_for_seconds=older_than_seconds) for mirror in _by_use(mirrors))


def remove_oldest_mirror(mirrors: Path, *, just_used_seconds: float = JUST_USED_SECONDS) -> bool:
    """Remove the least recently used mirror; return False if all are in use, or were a moment ago."""
    _finish_removals(mirrors)
    return any(_remove(mirror, unused_for_seconds=just_used_seconds) for mirror in _by_use(mirrors))


def _by_use(mirrors: Path) -> list[Path]:
    return sorted(mirrors.glob("*.git"), key=_last_used)


def _last_used(mirror: Path) -> float:
    """Return when it was last used, in seconds since 1970; 0 if it is gone."""
    with suppress(FileNotFoundError):
        uses = mirror / USES
        marks: list[Path] = [mirror, *(uses.iterdir() if uses.is_dir() else ())]
        return max(mark.stat().st_mtime for mark in marks)
    return 0


def _remove(mirror: Path, *, unused_for_seconds: float) -> bool:
    with _locked(mirror) as is_mine:
        if not is_mine or not mirror.exists() or time.time() - _last_used(mirror) < unused_for_seconds:
            return False
        going = mirror.with_suffix(GOING)
        mirror.rename(going)  # so that nobody ever sees half a mirror, even if this process dies now
    logger.info("removing a mirror", extra={"mirror": str(mirror)})
    _finish_removals(mirror.parent)
    return True


def _finish_removals(mirrors: Path) -> None:
    for going in mirrors.glob(f"*{GOING}"):
        try:
            remove_tree(going)
        except OSError as error:  # another worker is removing it too
            logger.debug("mirror not removed", extra={"mirror": str(going), "cause": str(error)})


@contextmanager
def _locked(mirror: Path) -> Iterator[bool]:
    """Take the mirror's lock if nobody is using the mirror; git's processes hold it as well."""
    with lock_of(mirror).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
