"""What the store reports to whoever watches the service: each host's worker, and counts at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.jobs.model import JobState
from shared.jobs.triggers import Outcome, TriggerState
from shared.scheduling.hosts import LIVE_SECONDS, Host
from shared.scheduling.waiting import Running

OVERDUE_SECONDS = 300  # longer than a look may take
LATELY_SECONDS = 3600


class WorkerState(StrEnum):
    """Whether a host's worker is alive."""

    ALIVE = "alive"
    SILENT = "silent"  # it may come back: it still owns its jobs
    LOST = "lost"  # silent for so long that its jobs go to other hosts
    LEFT = "left"  # it signed off


@dataclass(frozen=True)
class Refused:
    """A worker on another machine that wanted the same name: which one, and when it last did."""

    machine: str
    at: datetime


@dataclass(frozen=True)
class Worker:
    """What a host's worker last said, how long ago that was, and that host's supervised jobs."""

    host: Host
    seen_at: datetime
    silent_seconds: float
    has_left: bool
    running: tuple[Running, ...] = ()
    refused: Refused | None = None

    def state(self, *, lost_after_seconds: float) -> WorkerState:
        """Return whether the worker is alive."""
        if self.has_left:
            return WorkerState.LEFT
        if self.silent_seconds < LIVE_SECONDS:
            return WorkerState.ALIVE
        return WorkerState.LOST if self.silent_seconds >= lost_after_seconds else WorkerState.SILENT

    @property
    def used_gpus(self) -> tuple[str, ...]:
        """The devices that its jobs use."""
        return tuple(device for job in self.running for device in job.gpu_ids)


@dataclass(frozen=True)
class Backlog:
    """How many wait, and how long the first of them has waited."""

    count: int
    oldest_seconds: float


@dataclass(frozen=True)
class TriggerCounts:
    """How many triggers there are, how many should have been looked at, and what became of what happened lately."""

    by_state: Mapping[TriggerState, int]
    overdue: int  # active, and due for more than OVERDUE_SECONDS; none while all are paused
    lately: Mapping[Outcome, int]  # events of the last LATELY_SECONDS


@dataclass(frozen=True)
class Statistics:
    """The service at one moment. Anything without jobs, or without waiting alerts, is absent."""

    jobs: Mapping[JobState, int]
    queues: Mapping[str, Backlog]
    alerts: Mapping[str, Backlog]
    workers: Sequence[Worker]
    triggers: TriggerCounts
