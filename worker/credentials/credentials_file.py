"""Reads CREDENTIALS_FILE, and again when it changes: a login is replaced without a restart."""

import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

from shared.errors import ConfigurationError
from worker.credentials.entries import MOST_BYTES, Named

logger = logging.getLogger(__name__)

MOUNTS = Path("/run/secrets")  # whose files Compose and Kubernetes make readable, in a container that has only its own
NONE = Named()

Seen = tuple[int, int, int, int]


class CredentialsFile:
    """The file's entries as they are now. Safe to share between threads."""

    def __init__(self, path: Path | None = None, on_change: Callable[[Named], None] = lambda _named: None) -> None:
        self._path, self._on_change = path, on_change
        self._lock = threading.Lock()
        self._seen: Seen | None = None
        self._named = NONE

    def load(self) -> Named:
        """Read the file for the first time; raise ConfigurationError if it may not be used."""
        if self._path is not None:
            with self._lock:
                self._seen, self._named = _read(self._path)
            self._on_change(self._named)
        return self._named

    def now(self) -> Named:
        """Return the entries; while a changed file cannot be used, those of before, and the log says why."""
        if self._path is None:
            return NONE
        with self._lock:
            seen = _look(self._path)
            if seen == self._seen:
                return self._named
            self._seen = seen
            try:
                self._seen, named = _read(self._path)
            except ConfigurationError as error:
                logger.error("the changed file of credentials is not used", extra={"cause": error.message})
                return self._named
            self._named = named
        self._on_change(named)  # before anybody uses what is new
        logger.info("credentials read again", extra={"entries": len(named.all)})
        return named


def read_once(path: Path | None) -> Named:
    """Return the entries; raise ConfigurationError if the file may not be used."""
    return CredentialsFile(path).load()


def _look(path: Path) -> Seen | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _read(path: Path) -> tuple[Seen, Named]:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            _check(path, found)
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"CREDENTIALS_FILE: {path} cannot be read: {error.strerror}.") from None
    if len(raw) > MOST_BYTES:
        raise ConfigurationError(f"CREDENTIALS_FILE: {path} has more than {MOST_BYTES} bytes.")
    seen = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
    return seen, Named.parse(raw, name=str(path))


def _check(path: Path, found: os.stat_result) -> None:
    """Refuse what others than its owner can read; a secret that is mounted here only nobody else may write."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"CREDENTIALS_FILE: {path} is not a file.")
    is_mounted = path.absolute().is_relative_to(MOUNTS)
    if not is_mounted and found.st_uid not in (0, os.getuid()):
        raise ConfigurationError(f"CREDENTIALS_FILE: {path} belongs to another user. Give it to uid {os.getuid()}.")
    wrong = stat.S_IWGRP | stat.S_IWOTH if is_mounted else stat.S_IRWXG | stat.S_IRWXO
    if found.st_mode & wrong:
        mode = stat.S_IMODE(found.st_mode)
        raise ConfigurationError(
            f"CREDENTIALS_FILE: others can open {path} (mode {mode:04o}). Close it to them: chmod 600 {path}"
        )
