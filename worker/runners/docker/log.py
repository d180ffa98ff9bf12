"""Reads an attempt's output from a byte offset on, although engine streams always start at the beginning.

A thread per open stream reads ahead into a bounded buffer. `DockerRunner` opens the streams.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator
from contextvars import copy_context
from dataclasses import dataclass

from shared.errors import Code, InfrastructureError

READ_LIMIT_BYTES = 1024 * 1024
BUFFER_BYTES = 4 * 1024 * 1024
JOIN_SECONDS = 10
TRIES = 3
STOPPING_SECONDS = 0.25  # after which a stopping worker is noticed

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineStream:
    """Output from its beginning. ``close`` may be called from any thread, and ends the iteration."""

    chunks: Generator[bytes, None, None]
    close: Callable[[], None]


class LogStream:
    """One engine stream, read from ``offset`` on by a thread that pauses while the buffer is full."""

    def __init__(self, stream: EngineStream, *, offset: int, follow: bool) -> None:
        self.opened_at = self.position = offset
        self.follow = follow
        self._stream = stream
        self._to_skip = offset
        self._buffer = bytearray()
        self._ended = self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=copy_context().run, args=(self._pump,), name="attempt-log", daemon=True)
        self._thread.start()

    @property
    def is_exhausted(self) -> bool:
        """Whether read() will never return anything again."""
        with self._changed:
            return self._ended and not self._buffer

    @property
    def is_end_of_log(self) -> bool:
        """Return whether the log was read up to the offset and ends there."""
        return self.is_exhausted and self.position == self.opened_at and self._to_skip == 0

    def read(self) -> bytes:
        """Return what has been read ahead; b"" if nothing has."""
        with self._changed:
            data = bytes(self._buffer[:READ_LIMIT_BYTES])
            del self._buffer[: len(data)]
            self.position += len(data)
            self._changed.notify_all()
        return data

    def wait(self, *, timeout_seconds: float) -> bool:
        """Wait for output or the end; return False if the engine sends nothing for that long."""
        with self._changed:
            while not (self._buffer or self._ended):
                left_to_skip = self._to_skip
                self._changed.wait(timeout_seconds)
                if not (self._buffer or self._ended) and left_to_skip == self._to_skip:
                    return False
        return True

    def wait_for_end(self, *, timeout_seconds: float) -> bool:
        """Wait until the engine has sent the last of it; return False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout_seconds)

    def close(self) -> None:
        """End the stream and its thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._stream.close()
        self._thread.join(JOIN_SECONDS)

    def _pump(self) -> None:
        try:
            for chunk in self._stream.chunks:
                if not self._put(chunk):
                    return
        finally:
            self._stream.chunks.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _put(self, chunk: bytes) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._buffer) < BUFFER_BYTES)
            skipped = min(self._to_skip, len(chunk))
            self._to_skip -= skipped
            self._buffer += chunk[skipped:]
            self._changed.notify_all()
            return not self._closed


class AttemptLog:
    """One attempt's output, over as many streams as it takes."""

    def __init__(self, open_stream: Callable[[bool], EngineStream], *, name: str, timeout_seconds: float) -> None:
        self._open_stream = open_stream
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._stream: LogStream | None = None
        self._complete_at: int | None = None
        self._has_told_end = False

    def read_ahead(self, offset: int) -> bytes:
        """Return what is here already, without asking the engine."""
        return self._stream.read() if self._stream and self._stream.position == offset else b""

    def read_running(self, offset: int) -> bytes:
        """Return the output of a running attempt so far; follow it from now on."""
        stream = self._stream
        if stream is None or stream.position != offset or stream.is_exhausted:
            stream = self._open(offset, follow=True)  # an engine that restarts ends the stream, not the attempt
        return stream.read()

    def read_ended(self, offset: int) -> bytes:
        """Return more of an ended attempt's output; b"" only once that was all.

        An engine that goes away ends a stream just as quietly as the end of the log does, and following may miss the
        last lines. So it is the end only if a new stream reaches the offset and has nothing more.
        """
        tries = 0
        while self._complete_at != offset:
            stream = self._stream
            if stream is None or stream.follow or stream.position != offset or stream.is_exhausted:
                tries += 1
                stream = self._open(offset, follow=False)
            if not stream.wait(timeout_seconds=self._timeout_seconds):
                self.close()
                raise self._silent(offset)
            if data := stream.read():
                return data
            if stream.is_end_of_log or tries >= TRIES:
                self._complete(offset, is_whole=stream.is_end_of_log)
        return b""

    def rest(self, stopping: threading.Event, seconds: float) -> None:
        """Wait so long; less once the output ends, or once this is stopping.

        An end is told once: where an engine ends streams of what goes on, that must not become a loop without pauses.
        """
        deadline = time.monotonic() + seconds
        while not stopping.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._stream is None or self._has_told_end:
                stopping.wait(left)
            else:
                self._has_told_end = self._stream.wait_for_end(timeout_seconds=min(left, STOPPING_SECONDS))
                if self._has_told_end:
                    return

    def close(self) -> None:
        """End the stream and its thread, if any. Reading may go on with a new stream."""
        if self._stream:
            self._stream.close()
            self._stream = None

    def _open(self, offset: int, *, follow: bool) -> LogStream:
        self.close()
        self._stream = LogStream(self._open_stream(follow), offset=offset, follow=follow)
        return self._stream

    def _complete(self, offset: int, *, is_whole: bool) -> None:
        if not is_whole:
            logger.warning("log is shorter than what was read of it", extra={"container": self._name, "offset": offset})
        self._complete_at = offset
        self.close()

    def _silent(self, offset: int) -> InfrastructureError:
        return InfrastructureError(
            Code.DOCKER_UNAVAILABLE,
            f"Docker stopped sending the log of '{self._name}' for {self._timeout_seconds:g} s. "
            "Check that the engine answers; reading will continue where it stopped.",
            name=self._name,
            offset=offset,
        )
