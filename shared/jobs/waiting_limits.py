"""Says how many jobs may wait, of one caller, and in how many queues. Pure."""

from dataclasses import dataclass

from shared.access.callers import MACHINE
from shared.errors import TooManyJobsQueued
from shared.jobs.model import NewJob

USUAL_QUEUE = "default"
OTHER_QUEUES = 20  # that nobody serves, with waiting jobs at the same time: each is a series of several metrics


@dataclass(frozen=True)
class KnownQueues:
    """The queues that recorded workers serve, and those in which jobs wait."""

    served: frozenset[str]
    waiting: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All that have a name already."""
        return self.served | self.waiting | {USUAL_QUEUE}

    def has_room_for(self, name: str) -> bool:
        """Return whether a job may wait in this queue."""
        return name in self.names or len(self.waiting - self.served - {USUAL_QUEUE}) < OTHER_QUEUES


def is_counted(new: NewJob) -> bool:
    """Return whether its maker's jobs are counted; not those of programs on a machine without tokens."""
    return new.submitted_by not in (None, MACHINE.name)


def too_many(new: NewJob, most: int) -> TooManyJobsQueued:
    """Return the refusal."""
    return TooManyJobsQueued(
        f"{most} jobs of {new.submitted_by} wait already (CALLER_JOBS_QUEUED). Send more when some of them have begun, "
        "or cancel some: GET /jobs?state=queued lists those that wait.",
        submitted_by=new.submitted_by,
    )
