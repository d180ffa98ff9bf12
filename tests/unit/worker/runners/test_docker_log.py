"""How a log is put together from streams that break, fall silent or end too early."""

import threading
from collections.abc import Generator, Iterator, Sequence

import pytest

from shared.errors import Code, InfrastructureError
from tests.support.waiting import wait_until
from worker.runners.docker.log import BUFFER_BYTES, READ_LIMIT_BYTES, AttemptLog, EngineStream

SILENCE = "silence"


class FakeEngine:
    """Gives out the next of the scripted streams at each opening; the last one again and again."""

    def __init__(self, *streams: Sequence[bytes | str]) -> None:
        self.opened: list[bool] = []
        self.sent = 0
        self._streams = streams
        self._closed = threading.Event()

    def open(self, follow: bool) -> EngineStream:
        self._closed = threading.Event()
        chunks = self._streams[min(len(self.opened), len(self._streams) - 1)]
        self.opened.append(follow)
        return EngineStream(self._send(chunks, self._closed), self._closed.set)

    def _send(self, chunks: Sequence[bytes | str], closed: threading.Event) -> Generator[bytes, None, None]:
        for chunk in chunks:
            if isinstance(chunk, str):
                closed.wait(10)
                return
            self.sent += len(chunk)
            yield chunk


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "attempt-log"])


def log_of(engine: FakeEngine) -> AttemptLog:
    return AttemptLog(engine.open, name="retrain-x-1", timeout_seconds=0.2)


def rest(log: AttemptLog, offset: int = 0) -> bytes:
    read = b""
    while data := log.read_ended(offset + len(read)):
        read += data
    return read


def test_an_ended_log_is_complete_when_a_new_stream_has_nothing_more() -> None:
    engine = FakeEngine([b"one ", b"two"])
    log = log_of(engine)
    assert rest(log, 2) == b"e two"
    opened = len(engine.opened)
    assert log.read_ended(7) == b""
    assert len(engine.opened) == opened


def test_a_stream_that_breaks_off_is_not_taken_for_the_end() -> None:
    engine = FakeEngine([b"one ", b"tw"], [b"one"], [b"one ", b"two ", b"three"])
    assert rest(log_of(engine)) == b"one two three"


def test_a_follower_that_misses_the_last_lines_loses_nothing() -> None:
    engine = FakeEngine([b"one ", SILENCE], [b"one two"])
    log = log_of(engine)
    read = log.read_running(0) or wait_until(lambda: log.read_ahead(0))
    assert rest(log, len(read)) == b"two"
    assert engine.opened[:2] == [True, False]


def test_a_log_that_became_shorter_ends_where_it_was_read() -> None:
    engine = FakeEngine([b"short"])
    assert rest(log_of(engine), 100) == b""


def test_an_engine_that_falls_silent_is_unavailable_and_reading_goes_on_later() -> None:
    engine = FakeEngine([SILENCE], [b"all"])
    log = log_of(engine)
    with pytest.raises(InfrastructureError) as caught:
        log.read_ended(0)
    assert caught.value.code is Code.DOCKER_UNAVAILABLE
    assert rest(log) == b"all"


def test_what_nobody_reads_is_not_fetched_without_bound() -> None:
    chunk = b"x" * 1024 * 1024
    engine = FakeEngine([*[chunk] * 20, SILENCE])
    log = log_of(engine)
    read = len(log.read_running(0))
    wait_until(lambda: engine.sent > BUFFER_BYTES)
    assert engine.sent <= BUFFER_BYTES + 3 * len(chunk)
    assert len(log.read_ahead(read)) == READ_LIMIT_BYTES
    log.close()
