"""Logs as they are written: one reader for each job that is followed, however many follow it."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from api.errors import TooManyFollowers
from api.log_text import without_partial_end
from shared.errors import JobNotFound, StoreUnavailable
from shared.jobs import Attempt, Job
from shared.store import JobStore

POLL_SECONDS = 0.5
LOOK_SECONDS = 1.0  # between two looks whether the server stops, or the follower has gone
PART_BYTES = 64 * 1024  # a line that is longer comes in pieces
PARTS_KEPT = 16  # for those who read at about the same place


@dataclass(frozen=True)
class Position:
    """A byte of one attempt's log."""

    attempt: int
    offset: int


@dataclass(frozen=True)
class Part:
    """Whole lines of a log."""

    data: bytes
    next: Position  # where to go on


@dataclass(frozen=True)
class Begun:
    """It goes on with the job's next attempt."""

    next: Position


@dataclass(frozen=True)
class Ended:
    """There will be no more."""

    job: Job


class Feed:
    """A job that is followed: its record as last read, and what was read of its logs lately."""

    def __init__(self, job: Job, store: JobStore) -> None:
        self.job: Job | None = job
        self._job_id = job.id
        self.followers = 0
        self._store = store
        self._parts: OrderedDict[Position, Part] = OrderedDict()
        self._reading = threading.Lock()
        self._news = threading.Condition()

    def refresh(self) -> None:
        """Read the record anew; a store that is away is asked another time."""
        try:
            job: Job | None = self._store.get(self._job_id)
        except JobNotFound:  # deleted meanwhile
            job = None
        except StoreUnavailable:
            return
        if job != self.job:
            with self._news:
                self.job = job
                self._news.notify_all()

    def wait_for_news(self, known: Job) -> None:
        """Return when the record differs from the one that is known, or after a while."""
        with self._news:
            self._news.wait_for(lambda: self.job != known, timeout=LOOK_SECONDS)

    def read(self, place: Position, attempt: Attempt, *, is_over: bool) -> Part | None:
        """Return the next whole lines; None while there are none, or the store is away."""
        with self._reading:
            part = self._parts.get(place) or self._read(place, attempt, is_over=is_over)
            if part:
                self._parts[place] = part
                if len(self._parts) > PARTS_KEPT:
                    self._parts.popitem(last=False)
            return part

    def _read(self, place: Position, attempt: Attempt, *, is_over: bool) -> Part | None:
        try:
            log = self._store.read_log(self._job_id, attempt=place.attempt, offset=place.offset, limit=PART_BYTES)
        except (JobNotFound, StoreUnavailable):
            return None
        is_last = is_over and place.offset + len(log.data) >= attempt.log_size
        data = whole_lines(log.data, is_last=is_last)
        return Part(data, Position(place.attempt, place.offset + len(data))) if data else None


class Following:
    """Lets at most ``limit`` followers read at the same time."""

    def __init__(self, store: JobStore, *, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._room = threading.BoundedSemaphore(limit)
        self._feeds: dict[str, Feed] = {}
        self._changing = threading.Lock()  # the feeds, and whether there is a reader
        self._has_reader = False
        self._is_stopping = False

    def join(self, job: Job) -> "Follower":
        """Return a follower of the job, to be closed by the caller; TooManyFollowers where there is no room."""
        if not self._room.acquire(blocking=False):
            raise TooManyFollowers(f"{self._limit} logs are followed already (API_FOLLOWERS). Try again in a while.")
        with self._changing:
            feed = self._feeds.setdefault(job.id, Feed(job, self._store))
            feed.followers += 1
            if not self._has_reader:
                self._has_reader = True
                threading.Thread(target=self._read_on, name="log-reader", daemon=True).start()
        return Follower(feed, is_stopping=lambda: self._is_stopping, leave=lambda: self._leave(job.id))

    def _leave(self, job_id: str) -> None:
        with self._changing:
            self._feeds[job_id].followers -= 1
            if not self._feeds[job_id].followers:
                del self._feeds[job_id]
        self._room.release()

    def _read_on(self) -> None:
        while feeds := self._followed():
            for feed in feeds:
                feed.refresh()
            time.sleep(POLL_SECONDS)

    def _followed(self) -> list[Feed]:
        with self._changing:
            self._has_reader = bool(self._feeds)
            return list(self._feeds.values())

    def stop(self) -> None:
        """Send all followers away soon. Takes no lock: a signal handler calls it."""
        self._is_stopping = True


class Follower:
    """One who follows a job."""

    def __init__(self, feed: Feed, *, is_stopping: Callable[[], bool], leave: Callable[[], None]) -> None:
        self._feed = feed
        self._is_stopping = is_stopping
        self._leave = leave

    def close(self) -> None:
        """Make room for another. To be called once."""
        self._leave()

    def news(self, place: Position, *, is_one_attempt: bool) -> Iterator[Part | Begun | Ended | None]:
        """Give what is behind the place, as it is written; None now and then while there is nothing.

        Later attempts follow, unless only one is asked for. It ends behind Ended or, without it, when the server stops
        or the job is deleted.
        """
        while (job := self._feed.job) and not self._is_stopping():
            news = self._next(job, place, is_one_attempt=is_one_attempt)
            if news is None:
                self._feed.wait_for_news(job)
            yield news
            if isinstance(news, Ended):
                return
            place = news.next if news else place

    def _next(self, job: Job, place: Position, *, is_one_attempt: bool) -> Part | Begun | Ended | None:
        attempt = next((each for each in job.attempts if each.number == place.attempt), None)
        is_over = job.state.is_terminal or (attempt is not None and attempt.ended_at is not None)
        if attempt and place.offset < attempt.log_size:
            return self._feed.read(place, attempt, is_over=is_over)
        if is_over and not is_one_attempt and place.attempt < len(job.attempts):
            return Begun(Position(place.attempt + 1, 0))
        return Ended(job) if job.state.is_terminal or (is_over and is_one_attempt) else None


def whole_lines(data: bytes, *, is_last: bool) -> bytes:
    """Up to the last line end; all of what is the log's end, or is longer than a part may be."""
    if is_last:
        return data
    if end := data.rfind(b"\n") + 1:
        return data[:end]
    return without_partial_end(data) if len(data) >= PART_BYTES else b""
