"""Identifies this machine, and makes sure that only one worker of a name runs on it.

Two machines may have the same WORKER_HOST: a cloned machine, a copied .env. Nothing that gets copied tells them apart,
so the id is made of what does not: the boot of this kernel, and the file system's identity of the lock file. Whoever
has the lock knows that no other worker with this id is alive.
"""

import fcntl
import hashlib
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

from shared.scheduling.hosts import Machine
from shared.settings import Settings

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PAUSE_SECONDS = 0.5
REMIND_SECONDS = 30.0

logger = logging.getLogger(__name__)


def this_machine(settings: Settings) -> Machine:
    """Return the machine, as a worker with these settings calls it; the runner adds its engine."""
    with _open(settings) as descriptor:
        return _machine(settings, descriptor)


@contextmanager
def only_worker_here(settings: Settings) -> Iterator[Machine]:
    """Wait until no other worker of this name runs here, such as the one being replaced; then keep others out."""
    with _open(settings) as descriptor:
        _lock(descriptor, settings)
        yield _machine(settings, descriptor)


@contextmanager
def _open(settings: Settings) -> Iterator[int]:
    """Open the lock file, and never remove it: a new file would mean another machine."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / f"worker-{settings.worker_host}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, settings: Settings) -> None:
    reminded_at: float | None = None
    while True:
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if reminded_at is None or time.monotonic() - reminded_at > REMIND_SECONDS:
            reminded_at = time.monotonic()
            logger.warning("waiting for the end of another worker here", extra={"host": settings.worker_host})
        time.sleep(PAUSE_SECONDS)


def _machine(settings: Settings, descriptor: int) -> Machine:
    if not (name := os.pread(descriptor, 64, 0)):
        name = uuid4().hex.encode()
        os.pwrite(descriptor, name, 0)
    file = os.fstat(descriptor)
    lasting = _digest(name.decode(), file.st_dev, file.st_ino, settings.runner)
    says = f"{socket.gethostname()} (DATA_DIR {settings.data_dir.resolve()})"
    return Machine(f"{lasting}:{_digest(_boot())}", says=says)


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:30]


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # not Linux
        return str(round(psutil.boot_time()))
