"""Whether an answer to "where does this job stand?" was true when it was given, by what the records say in the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.jobs.model import Job
from shared.scheduling.hosts import QueueCode
from tests.acceptance.support.limits_sampler import Place

COMMIT = timedelta(seconds=3)  # a change is dated when its transaction begins, and seen when that is over
AT_FIRST = (QueueCode.NO_WORKER, QueueCode.NO_HOST_FITS)  # before the workers have said what they offer


@dataclass(frozen=True)
class Span:
    """When a job waited, or held its limits; each job does both once."""

    since: datetime
    until: datetime

    def was_seen(self, place: Place) -> bool:
        """Whether it may have been seen at some moment between question and answer."""
        return self.since <= place.answered_at and place.asked_at <= self.until + COMMIT

    def was_there(self, place: Place) -> bool:
        """Whether it must have been seen at every moment between question and answer."""
        return self.since + COMMIT <= place.asked_at and place.answered_at <= self.until


class Truth:
    """The lives of jobs that all waited in one queue, at one priority, and were tried once."""

    def __init__(self, jobs: Sequence[Job], *, limit_total: int) -> None:
        self._jobs = {job.id: job for job in jobs}
        self._queued = {job.id: Span(job.transitions[0].at, job.transitions[1].at) for job in jobs}
        self._active = {job.id: Span(job.transitions[1].at, job.transitions[-1].at) for job in jobs}
        self._order = sorted(jobs, key=lambda job: (job.transitions[0].at, job.id))
        self._began_at = min(span.since for span in self._active.values())
        self._limit_total = limit_total

    def allows(self, place: Place) -> bool:
        """Whether the answer may be true."""
        return self._queued[place.job_id].was_seen(place) and self._position(place) and self._reason(place)

    def _position(self, place: Place) -> bool:
        numbers = [job.id for job in self._order]
        ahead = [self._queued[each] for each in numbers[: numbers.index(place.job_id)]]
        least = sum(span.was_there(place) for span in ahead)
        most = sum(span.was_seen(place) for span in ahead)
        return least < place.said.position <= most + 1

    def _reason(self, place: Place) -> bool:
        said, job = place.said, self._jobs[place.job_id]
        blocking = [self._jobs[each] for each in said.blocking]
        held = all(self._active[each].was_seen(place) for each in said.blocking)
        match said.code:
            case QueueCode.KEY_LIMIT:
                same = [other.concurrency_key for other in blocking] == [job.concurrency_key]
                return same and (held or self._goes_before(blocking[0], place))
            case QueueCode.TOTAL_LIMIT:
                return held and len(blocking) == self._limit_total
            case QueueCode.GPUS:
                hosts = {other.attempt.host for other in blocking}
                return held and job.gpus > 0 and len(hosts) == 1 and all(other.gpus for other in blocking)
            case QueueCode.GPUS_RESERVED:
                return 0 < job.gpus < blocking[0].gpus and self._goes_before(blocking[0], place)
            case QueueCode.NEXT | QueueCode.SLOTS:
                return True
            case _:
                return said.code in AT_FIRST and place.asked_at <= self._began_at + COMMIT * 5

    def _goes_before(self, other: Job, place: Place) -> bool:
        numbers = [job.id for job in self._order]
        return numbers.index(other.id) < numbers.index(place.job_id) and self._queued[other.id].was_seen(place)
