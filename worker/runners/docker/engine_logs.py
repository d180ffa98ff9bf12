"""The engine's log streams of one container: opened, read until they break, and closed."""

import logging
import struct
from collections.abc import Generator
from contextlib import closing, suppress

from docker.errors import DockerException, NotFound
from docker.types import CancellableStream

from worker.runners.docker.engine import ENGINE_ERRORS, Engine, engine_answers
from worker.runners.docker.failures import lost
from worker.runners.docker.log import AttemptLog, EngineStream
from worker.runners.seam import Handle

logger = logging.getLogger(__name__)


def first_piece(engine: Engine, handle: Handle) -> bytes:
    """Return the first piece of the log, with the time at which it was printed; empty if there is none yet."""
    with engine_answers(f"send the log of '{handle.name}'", name=handle.name):
        try:
            stream = engine.client.api.logs(handle.id, stream=True, follow=False, timestamps=True)
        except NotFound as error:
            raise lost(handle, "no longer there: it was removed from outside") from error
        with closing(_until_it_breaks(stream)) as chunks:
            return next(chunks, b"")


def log_of(engine: Engine, handle: Handle) -> AttemptLog:
    """Return the attempt's log, which opens streams as it is read."""

    def open_stream(follow: bool) -> EngineStream:
        stream = engine.client.api.logs(handle.id, stream=True, follow=follow)
        return EngineStream(chunks=_until_it_breaks(stream), close=lambda: _close(stream))

    return AttemptLog(open_stream, name=handle.name, timeout_seconds=engine.timeout_seconds)


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
