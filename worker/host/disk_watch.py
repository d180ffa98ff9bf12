"""Stops a training that fills the disk before it takes down other training and the job store."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from shared.errors import AttemptError, Code, InfrastructureError, UserError
from shared.settings import Settings
from worker.attempt_name import named_context
from worker.host.offer import HostOffer
from worker.resilience import survive
from worker.runners.seam import Handle, Runner

LOOK_SECONDS = 1.0
MEASURE_EVERY_LOOKS = 30  # an engine walks all of a container's files to tell its size
GONE_SECONDS = 30.0  # how long removing what was stopped may take
LEAST_PART = 10  # an attempt using less than this fraction of DISK_STOP_BYTES is not to blame

logger = logging.getLogger(__name__)


class Room(NamedTuple):
    """A disk, in bytes."""

    total: int
    free: int


def room_of(folder: Path) -> Room:
    """Return the room on the disk where the folder is, or will be."""
    usage = shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists()))
    return Room(usage.total, usage.free)


class Verdicts:
    """Why attempts were stopped by something other than their supervisors, which then end them with that error."""

    def __init__(self) -> None:
        self._errors: dict[str, AttemptError] = {}
        self._lock = threading.Lock()

    def say(self, name: str, error: AttemptError) -> None:
        """Note the reason, before the attempt is stopped."""
        with self._lock:
            self._errors[name] = error

    def take(self, name: str) -> AttemptError | None:
        """Return the reason, once."""
        with self._lock:
            return self._errors.pop(name, None)


@dataclass
class DiskWatch:
    """Looks every second at the disk where attempts write; it stops without grace, because there is no room for it."""

    settings: Settings
    runner: Runner
    here: HostOffer
    verdicts: Verdicts
    room: Callable[[Path], Room] = room_of
    clock: Callable[[], float] = time.monotonic
    _looks: int = 0
    _stopped: dict[str, float] = field(default_factory=dict)

    def watch_until(self, stopping: threading.Event) -> None:
        """Look until the worker stops."""
        while not stopping.wait(LOOK_SECONDS):
            survive("watch disk", self.look)

    def look(self) -> None:
        """Stop attempts that use more than allowed and, if the disk is nearly full, the one that uses most."""
        room = self.room(self.runner.find_disk() or self.settings.data_dir)
        is_full = room.free < self.settings.disk_stop_below
        most = self.settings.attempt_disk_bytes or room.total // self.here.slots
        is_time = self._looks % MEASURE_EVERY_LOOKS == 0
        self._looks += 1
        if not is_full and not (is_time and room.total - room.free > most):
            return
        sizes = self._sizes()
        for size, handle in sizes:
            if size > most:
                self._stop(handle, _over_limit(size, most))
        if is_full and not self._waits_for_room():
            self._stop_biggest(sizes, room)

    def _sizes(self) -> Sequence[tuple[int, Handle]]:
        running = [handle for handle in self.runner.list_mine() if self._runs(handle)]
        return sorted(((self.runner.disk_bytes(each), each) for each in running), key=lambda pair: -pair[0])

    def _runs(self, handle: Handle) -> bool:
        try:
            return self.runner.poll(handle) is None
        except AttemptError:  # gone, never started, or not visible now
            return False

    def _waits_for_room(self) -> bool:
        """Return whether an attempt that was just stopped is about to free its space."""
        now = self.clock()
        self._stopped = {name: at for name, at in self._stopped.items() if now - at < GONE_SECONDS}
        return any(handle.name in self._stopped for handle in self.runner.list_mine())

    def _stop_biggest(self, sizes: Sequence[tuple[int, Handle]], room: Room) -> None:
        if sizes and sizes[0][0] * LEAST_PART >= self.settings.disk_stop_below:
            size, handle = sizes[0]
            self._stop(handle, _used_most(size, room, self.settings))

    def _stop(self, handle: Handle, error: AttemptError) -> None:
        with named_context(handle.name):
            logger.error("stopped: it fills the disk", extra={"container": handle.id, "cause": error.message})
            self.verdicts.say(handle.name, error)
            self._stopped[handle.name] = self.clock()
            self.runner.stop(handle, grace_seconds=0)


def _megabytes(count: int) -> str:
    return f"{count / 10**6:,.0f} MB"


def _over_limit(size: int, most: int) -> UserError:
    message = (
        f"Training had written {_megabytes(size)} to its host's disk and was stopped: an attempt may use "
        f"{_megabytes(most)} (ATTEMPT_DISK_BYTES, or the disk by slots). Keep fewer checkpoints."
    )
    return UserError(Code.DISK_FULL, message, bytes=size, most=most)


def _used_most(size: int, room: Room, settings: Settings) -> InfrastructureError:
    message = (
        f"The host's disk was nearly full ({_megabytes(room.free)} free, DISK_STOP_BYTES={settings.disk_stop_below}), "
        f"and this training used most of it: it had written {_megabytes(size)}, and was stopped so that others go on. "
        "Let it write less, or free space on the host."
    )
    return InfrastructureError(Code.DISK_FULL, message, bytes=size, free=room.free)
