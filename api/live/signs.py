"""Looks at the store for all open pages together: each topic's sign is another one once something has changed."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.errors import JobNotFound, StoreUnavailable
from shared.jobs.model import JobState
from shared.jobs.signs import Topic
from shared.jobs.store import JobStore

LOOK_SECONDS = 0.5  # between two looks at the same
SHARE = 20  # a look that takes long is repeated after so many times as long, so that looking costs 5 % at most
SLOW_SECONDS = 5.0  # for what has no sign of its own: then it may have changed
MOST_KEPT = 1000
SIGNED = frozenset(Topic)


@dataclass(frozen=True)
class Watched:
    """What a page shows, of the team whose things alone its reader sees; None if of all."""

    topic: str  # one of Topic, "workers", "alerts", or "job:" with an id
    team: str | None = None


@dataclass
class _Look:
    sign: str = ""
    due_at: float = 0.0
    looking: threading.Lock = field(default_factory=threading.Lock)


class Signs:
    """The signs of all that is watched, as they are or were a moment ago."""

    def __init__(self, store: JobStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._looks: OrderedDict[Watched, _Look] = OrderedDict()
        self._changing = threading.Lock()

    def of(self, watched: Watched) -> str:
        """Return its sign; while the store does not answer, the last one."""
        with self._changing:
            look = self._looks.setdefault(watched, _Look())
            self._looks.move_to_end(watched)
            if len(self._looks) > MOST_KEPT:
                self._looks.popitem(last=False)
        with look.looking:
            began = self._clock()
            if began >= look.due_at:
                look.sign = self._read(watched, look.sign)
                look.due_at = began + max(LOOK_SECONDS, SHARE * (self._clock() - began))
            return look.sign

    def _read(self, watched: Watched, last: str) -> str:
        kind, _, job_id = watched.topic.partition(":")
        try:
            if job_id:
                return self._sign_of_job(job_id, watched.team)
            return self._store.get_sign(Topic(kind), team=watched.team) if kind in SIGNED else self._now_and_then()
        except JobNotFound:
            return "deleted"
        except StoreUnavailable:
            return last

    def _sign_of_job(self, job_id: str, team: str | None) -> str:
        version, state = self._store.get_version(job_id)
        match state:
            case JobState.QUEUED:  # what it waits for is other jobs
                return f"{version} {self.of(Watched(Topic.JOBS, team))}"
            case JobState.RUNNING:  # its metrics come meanwhile
                return f"{version} {self._now_and_then()}"
        return f"{version}"

    def _now_and_then(self) -> str:
        return str(int(self._clock() / SLOW_SECONDS))
