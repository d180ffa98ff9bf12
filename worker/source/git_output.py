"""Reads the output of a git command within bounds, because a hostile host can make it endless."""

import os
import selectors
from collections.abc import Callable
from typing import IO, Protocol

from worker.interruption import LOOK_SECONDS

MAX_STDOUT_BYTES = 16 * 1024**2
KEPT_STDERR_BYTES = 64 * 1024  # what matters comes last
CHUNK_BYTES = 64 * 1024


class TooMuchOutput(Exception):
    """A command printed more than MAX_STDOUT_BYTES."""


class WithPipes(Protocol):
    """The part of a process that is read; only git.py uses subprocess itself."""

    stdout: IO[bytes] | None
    stderr: IO[bytes] | None


def read_output(
    process: WithPipes, *, remaining_seconds: Callable[[], float], take: Callable[[bytes], None] | None = None
) -> tuple[bytearray, bytearray]:
    """Return all of stdout and the end of stderr once both are closed; raise TooMuchOutput or TimeoutError.

    ``remaining_seconds`` is called at least every LOOK_SECONDS, and may raise to end the reading. With ``take``,
    stdout goes there as it comes, and may be of any length.
    """
    printed, complained = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, kept in ((process.stdout, printed), (process.stderr, complained)):
            if pipe:
                selector.register(pipe, selectors.EVENT_READ, kept)
        while selector.get_map():
            if not (seconds := remaining_seconds()):
                raise TimeoutError
            for key, _ in selector.select(min(seconds, LOOK_SECONDS)):
                chunk = os.read(key.fd, CHUNK_BYTES)
                if take and key.data is printed:
                    take(chunk)
                else:
                    key.data.extend(chunk)
                if not chunk:
                    selector.unregister(key.fileobj)
            if len(printed) > MAX_STDOUT_BYTES:
                raise TooMuchOutput
            _keep_end(complained)
    return printed, complained


def _keep_end(complained: bytearray) -> None:
    """Cut the beginning off, up to the end of a line: half a secret would not be recognised and masked."""
    if len(complained) <= 2 * KEPT_STDERR_BYTES:
        return
    del complained[:-KEPT_STDERR_BYTES]
    ends = [end for end in (complained.find(b"\n"), complained.find(b"\r")) if end >= 0]
    del complained[: min(ends) + 1 if ends else None]
