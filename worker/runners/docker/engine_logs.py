"""The engine's log streams: opened, read until they break, and closed."""

import logging
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress

from docker.errors import DockerException, NotFound
from docker.types import CancellableStream

from worker.runners.docker.engine import ENGINE_ERRORS, Engine, engine_answers
from worker.runners.docker.failures import lost
from worker.runners.docker.log import AttemptLog, EngineStream
from worker.runners.seam import Handle, LogBounds

logger = logging.getLogger(__name__)


class EngineLogs:
    """What the containers of one runner have printed, as far as the engine keeps it."""

    def __init__(self, engine: Engine, bounds: LogBounds) -> None:
        self._engine = engine
        self._bounds = bounds
        self._logs: dict[str, AttemptLog] = {}
        self._beginnings: dict[str, bytes] = {}  # how each log began when it was first read
        self._shortened: set[str] = set()

    def read(self, handle: Handle, offset: int, *, has_ended: Callable[[], bool]) -> bytes:
        """Return output from byte ``offset`` on, at most 1 MiB."""
        log = self._logs.get(handle.id)
        if log and (data := log.read_ahead(offset)):
            return data
        if handle.id in self._shortened:  # offsets are no longer valid
            return b""
        with engine_answers(f"send the log of '{handle.name}'", name=handle.name):
            ended = has_ended()
            log = log or self._logs.setdefault(handle.id, self._log_of(handle))
            return log.read_ended(offset) if ended else log.read_running(offset)

    def rest(self, handle: Handle, stopping: threading.Event, seconds: float) -> None:
        """Wait so long; less once the output that is being followed ends."""
        if log := self._logs.get(handle.id):
            log.rest(stopping, seconds)
        else:
            stopping.wait(seconds)

    def unkept_bytes(self, handle: Handle) -> int:
        """Return a flood's worth once the engine has discarded the log's beginning, which it does not report.

        The engine counts lines as it stores them: with some 70 bytes more than was printed.
        """
        beginning = self._first_piece(handle)
        known = self._beginnings.setdefault(handle.id, beginning) if beginning else beginning
        if beginning == known:
            return 0
        self._shortened.add(handle.id)
        return self._bounds.flood_bytes + 1

    def close(self, handle: Handle) -> None:
        """Close the stream that follows the container's output."""
        if log := self._logs.pop(handle.id, None):
            log.close()

    def forget(self, handle: Handle) -> None:
        """Close it, because the container is being removed."""
        self.close(handle)
        self._beginnings.pop(handle.id, None)
        self._shortened.discard(handle.id)

    def close_all(self) -> None:
        """Close all streams."""
        while self._logs:
            self._logs.popitem()[1].close()

    def _first_piece(self, handle: Handle) -> bytes:
        """Return the first piece of the log, with the time at which it was printed; empty if there is none yet."""
        with engine_answers(f"send the log of '{handle.name}'", name=handle.name):
            try:
                stream = self._engine.client.api.logs(handle.id, stream=True, follow=False, timestamps=True)
            except NotFound as error:
                raise lost(handle, "no longer there: it was removed from outside") from error
            with closing(_until_it_breaks(stream)) as chunks:
                return next(chunks, b"")

    def _log_of(self, handle: Handle) -> AttemptLog:
        def open_stream(follow: bool) -> EngineStream:
            stream = self._engine.client.api.logs(handle.id, stream=True, follow=follow)
            return EngineStream(chunks=_until_it_breaks(stream), close=lambda: _close(stream))

        return AttemptLog(open_stream, name=handle.name, timeout_seconds=self._engine.timeout_seconds)


def _until_it_breaks(stream: "CancellableStream[bytes]") -> Generator[bytes, None, None]:
    try:
        yield from stream
    except (*ENGINE_ERRORS, OSError, ValueError, struct.error) as error:  # the engine went away, or our own close()
        logger.debug("log stream broke off", extra={"error": str(error)})
    finally:
        # docker-py's own close() leaves the connection open until it is collected, and offers no other way.
        stream._response.close()  # type: ignore[attr-defined]


def _close(stream: "CancellableStream[bytes]") -> None:
    with suppress(DockerException, OSError):  # over ssh it cannot be closed; or it has already ended
        stream.close()
