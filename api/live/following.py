"""Follows logs as they are written, reading each part from the store once, however many clients follow the job."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from api.http.errors import TooManyFollowers
from api.live.log_text import without_partial_end
from shared.errors import JobNotFound, StoreUnavailable
from shared.jobs.model import Attempt, Job
from shared.jobs.store import Submissions

POLL_SECONDS = 0.5
PART_BYTES = 64 * 1024  # a longer line comes in pieces
PARTS_KEPT = 16  # for followers at about the same position


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
    """The log goes on with the job's next attempt."""

    next: Position


@dataclass(frozen=True)
class Ended:
    """The log has ended."""

    job: Job


class Feed:
    """A followed job: its record as last read, and the parts of its logs that were read lately."""

    def __init__(self, job: Job, store: Submissions) -> None:
        self.followers = 0
        self._job: Job | None = job
        self._job_id = job.id
        self._store = store
        self._looked_at = time.monotonic()
        self._parts: OrderedDict[Position, Part] = OrderedDict()
        self._reading = threading.Lock()

    def look(self) -> Job | None:
        """Return the record, reading it again if it is not recent; None once it is deleted."""
        with self._reading:
            if self._job and time.monotonic() - self._looked_at >= POLL_SECONDS:
                self._look()
                self._looked_at = time.monotonic()
            return self._job

    def _look(self) -> None:
        try:
            self._job = self._store.get(self._job_id)
        except JobNotFound:  # deleted meanwhile
            self._job = None
        except StoreUnavailable:  # tried again later
            return

    def read(self, place: Position, attempt: Attempt, *, is_over: bool) -> Part | None:
        """Return the next complete lines; None if there are none yet, or the store does not answer."""
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


def _never() -> bool:
    return False


class Following:
    """Lets at most ``limit`` followers read at the same time: ``per_peer`` from one address, ``per_caller`` of one."""

    def __init__(self, store: Submissions, *, limit: int, per_peer: int, per_caller: int) -> None:
        self._store = store
        self._limit = limit
        self._per_peer = per_peer
        self._per_caller = per_caller
        self._peers: Counter[str] = Counter()
        self._callers: Counter[str] = Counter()
        self._feeds: dict[str, Feed] = {}
        self._changing = threading.Lock()
        self._is_stopping = False

    def join(self, job: Job, *, peer: str, caller: str, is_shut_out: Callable[[], bool] = _never) -> "Follower":
        """Return a follower of the job, which must be closed; raise TooManyFollowers if there is no room."""
        with self._changing:
            self._require_room(peer, caller)
            self._peers[peer] += 1
            self._callers[caller] += 1
            feed = self._feeds.setdefault(job.id, Feed(job, self._store))
            feed.followers += 1
        return Follower(
            feed,
            is_stopping=lambda: self._is_stopping or is_shut_out(),
            leave=lambda: self._leave(job.id, peer, caller),
        )

    def _require_room(self, peer: str, caller: str) -> None:
        if self._peers.total() >= self._limit:
            raise TooManyFollowers(f"{self._limit} logs are already followed (API_FOLLOWERS). Try again in a while.")
        if self._peers[peer] >= self._per_peer:
            raise TooManyFollowers(
                f"{self._per_peer} logs are followed from your address already (API_FOLLOWERS_PER_PEER). Follow fewer "
                "at the same time."
            )
        if self._callers[caller] >= self._per_caller:
            raise TooManyFollowers(
                f"{caller} follows {self._per_caller} logs already (API_FOLLOWERS_PER_CALLER). Follow fewer at a time."
            )

    def _leave(self, job_id: str, peer: str, caller: str) -> None:
        with self._changing:
            self._peers[peer] -= 1
            self._peers += Counter()  # drops those at zero
            self._callers[caller] -= 1
            self._callers += Counter()
            self._feeds[job_id].followers -= 1
            if not self._feeds[job_id].followers:
                del self._feeds[job_id]

    def stop(self) -> None:
        """End all followers soon. Takes no lock, because a signal handler calls it."""
        self._is_stopping = True


class Follower:
    """One client that follows a job."""

    def __init__(self, feed: Feed, *, is_stopping: Callable[[], bool], leave: Callable[[], None]) -> None:
        self._feed = feed
        self._is_stopping = is_stopping
        self._leave = leave

    def close(self) -> None:
        """Make room for another follower. Call it only once."""
        self._leave()

    def news(self, place: Position, *, is_one_attempt: bool) -> Iterator[Part | Begun | Ended | None]:
        """Yield what comes after the position, as it is written; None now and then while there is nothing.

        Later attempts follow, unless only one is asked for. It stops after Ended or, without it, if the server stops,
        the job is deleted, or the caller's token has ended.
        """
        while not self._is_stopping() and (job := self._feed.look()):
            news = self._next(job, place, is_one_attempt=is_one_attempt)
            if news is None:
                time.sleep(POLL_SECONDS)
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
    """Return the data up to the last line end; all of it at the log's end, or if a line is longer than a part."""
    if is_last:
        return data
    if end := data.rfind(b"\n") + 1:
        return data[:end]
    return without_partial_end(data) if len(data) >= PART_BYTES else b""
