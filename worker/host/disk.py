"""Whether this host's disks have room, and what goes when they have not: images that were pulled, then mirrors."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import AttemptError
from worker.folder_tree import free_bytes
from worker.runners.seam import Runner
from worker.source.checkout import GitSource

JUST_USED_SECONDS = 600  # an attempt in preparation has no container yet to keep its image in use

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DiskGuard:
    """Looks at the disks of ``folders``."""

    folders: Callable[[], Sequence[Path]]
    low_bytes: int
    source: GitSource
    runner: Runner
    free: Callable[[Path], int] = free_bytes

    def is_low(self) -> bool:
        """Return whether one of the disks is below the low-water mark."""
        return any(self._is_low(folder) for folder in self.folders())

    def clean(self) -> int:
        """Remove what can be fetched again, one at a time, until there is room or nothing is left; return how many."""
        return self._remove_images() + self._remove_mirrors()

    def _is_low(self, folder: Path) -> bool:
        return self.free(folder) < self.low_bytes

    def _remove_images(self) -> int:
        """Remove pulled images. Where their disk cannot be seen from here, it may be the one that is full."""
        removed = 0
        for image_id in self._unused_images():
            try:
                if not self._needs_room_for_images():
                    break
                removed += self.runner.remove_image(image_id)
            except AttemptError as error:  # the others must not wait for it
                logger.warning("image not removed", extra={"image": image_id, "cause": error.message})
        return removed

    def _unused_images(self) -> list[str]:
        try:
            return self.runner.find_unused_images(unused_seconds=JUST_USED_SECONDS)
        except AttemptError as error:  # the mirrors must not wait for it
            logger.warning("images not looked at", extra={"cause": error.message})
            return []

    def _needs_room_for_images(self) -> bool:
        disk = self.runner.find_disk()
        return self._is_low(disk) if disk else self.is_low()

    def _remove_mirrors(self) -> int:
        removed = 0
        while self._is_low(self.source.mirrors) and self.source.remove_oldest_mirror():
            removed += 1
        return removed
