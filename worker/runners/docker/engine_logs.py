"""The engine's log streams: opened, read until they break, and closed."""

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress

from docker.errors import DockerException, NotFound, create_api_error_from_http_exception
from docker.types import CancellableStream
from requests import HTTPError, Response

from worker.runners.docker.engine import ENGINE_ERRORS, Engine, engine_answers
from worker.runners.docker.failures import lost
from worker.runners.docker.log import AttemptLog, EngineStream
from worker.runners.seam import Handle, LogBounds

HEADER_BYTES = 8  # of each piece: which stream it is of, and how long it is

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

    def unkept_bytes(self, handle: Handle, *, has_ended: bool) -> int:
        """Return a flood's worth once the engine has discarded the log's beginning, which it does not report.

        The engine counts lines as it stores them: with some 70 bytes more than was printed.
        """
        if has_ended and handle.id not in self._beginnings:
            return 0  # there is nothing to compare its beginning with, and it will not change any more
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
                response = self._open(handle, timestamps=1)
            except NotFound as error:
                raise lost(handle, "no longer there: it was removed from outside") from error
            with closing(_pieces(response)) as pieces:
                return next(pieces, b"")

    def _log_of(self, handle: Handle) -> AttemptLog:
        def open_stream(follow: bool) -> EngineStream:
            response = self._open(handle, follow=int(follow))
            return EngineStream(chunks=_pieces(response), close=lambda: _close(response))

        return AttemptLog(open_stream, name=handle.name, timeout_seconds=self._engine.timeout_seconds)

    def _open(self, handle: Handle, **options: int) -> Response:
        """Open the log from its beginning.

        docker-py's own logs() inspects the container besides, to learn if it has a terminal. None of ours has one.
        """
        api = self._engine.client.api
        url = f"{api.base_url}/v{api.api_version}/containers/{handle.id}/logs"
        response = api.get(url, params={"stdout": 1, "stderr": 1, **options}, timeout=api.timeout, stream=True)
        try:
            response.raise_for_status()
        except HTTPError as error:
            with response:
                raise create_api_error_from_http_exception(error) from error
        connection = response.raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(None)  # a training may be silent for hours
        return response


def _pieces(response: Response) -> Generator[bytes, None, None]:
    """Yield what was printed, until the stream ends or breaks."""
    try:
        while len(header := response.raw.read(HEADER_BYTES)) == HEADER_BYTES:
            if piece := response.raw.read(int.from_bytes(header[4:])):
                yield piece
    except (*ENGINE_ERRORS, OSError, ValueError) as error:  # the engine went away, or our own close()
        logger.debug("log stream broke off", extra={"error": str(error)})
    finally:
        response.close()


def _close(response: Response) -> None:
    with suppress(DockerException, OSError, AttributeError):  # impossible over ssh; or it has already ended
        CancellableStream(iter(()), response).close()
