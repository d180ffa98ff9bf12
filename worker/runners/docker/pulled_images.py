"""Records which images this service pulled on this host, and when they were used: only these may be removed.

It is a JSON file that the host's workers share. Losing it costs no image: an image that is not in it stays.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

LOCK_SECONDS = 10
LOCK_POLL_SECONDS = 0.02

logger = logging.getLogger(__name__)


class PulledImage(BaseModel):
    """An image that was not here before this service pulled it. ``references`` are the tags and digests that came."""

    model_config = ConfigDict(frozen=True)

    id: str
    references: frozenset[str]
    pulled_at: AwareDatetime
    last_used_at: AwareDatetime


class _Record(BaseModel):
    images: dict[str, PulledImage] = {}


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class PulledImages:
    """The record at ``path``. Safe for many threads and processes; failing to note something never ends an attempt."""

    path: Path
    now: Callable[[], datetime] = _now

    def note_pull(self, image_id: str, references: Collection[str]) -> None:
        """Note that our pull brought the image, or just another name of one that was pulled before."""
        now = self.now()

        def add(images: dict[str, PulledImage]) -> None:
            known = images.get(image_id)
            names = frozenset(references) | (known.references if known else frozenset())
            pulled_at = known.pulled_at if known else now
            images[image_id] = PulledImage(id=image_id, references=names, pulled_at=pulled_at, last_used_at=now)

        self._change(add)

    def note_use(self, image_id: str) -> None:
        """Note that an attempt is about to use the image; do nothing if we did not pull it."""
        now = self.now()

        def touch(images: dict[str, PulledImage]) -> None:
            if known := images.get(image_id):
                images[image_id] = known.model_copy(update={"last_used_at": now})

        self._change(touch)

    def forget(self, image_id: str) -> None:
        """Note that the image is no longer here."""
        self._change(lambda images: images.pop(image_id, None))

    def find(self, image_id: str) -> PulledImage | None:
        """Return what is known about the image; None if this service did not pull it."""
        return self._known().get(image_id)

    def by_use(self) -> list[PulledImage]:
        """Return all of them, least recently used first."""
        return sorted(self._known().values(), key=lambda image: image.last_used_at)

    def unused(self, seconds: float) -> list[str]:
        """Return the ids of those that have not been used for that long, least recently used first."""
        used_before = self.now() - timedelta(seconds=seconds)
        return [image.id for image in self.by_use() if image.last_used_at < used_before]

    def _known(self) -> dict[str, PulledImage]:
        try:
            return self._read()
        except OSError as error:
            logger.warning("what was pulled cannot be read", extra={"file": str(self.path), "cause": str(error)})
            return {}

    def _change(self, change: Callable[[dict[str, PulledImage]], object]) -> None:
        try:
            with self._locked():
                before = self._read()
                images = dict(before)
                change(images)
                if images != before:
                    _replace(self.path, _Record(images=images).model_dump_json(indent=1).encode())
        except OSError as error:  # such as a full disk; an image that is not noted is just never removed
            logger.warning("image not noted", extra={"file": str(self.path), "cause": str(error)})

    def _read(self) -> dict[str, PulledImage]:
        try:
            return _Record.model_validate_json(self.path.read_bytes()).images
        except FileNotFoundError:
            return {}
        except ValidationError as error:
            cause = str(error.errors(include_input=False, include_url=False)[:1])
            logger.warning("what was pulled is forgotten: damaged", extra={"file": str(self.path), "cause": cause})
            return {}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open(
            "a"
        ) as file:  # a new open file each time, so that threads wait as well
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_to_lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another worker held it for {LOCK_SECONDS} s")
                time.sleep(LOCK_POLL_SECONDS)
            yield


def _try_to_lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _replace(path: Path, content: bytes) -> None:
    """Write the file completely or not at all, even if the machine stops in the middle."""
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except OSError:
        Path(new).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
