"""What the in-memory store tells of what was used: from its records, those that were deleted too."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import pairwise

from shared.jobs.model import TERMINAL, Attempt, Job, JobState
from shared.jobs.monthly_usage import AttemptOutcome, Sums, UsageFilter, UsageLine
from tests.fakes.records import Record


class MemoryUsage:
    """The part of MemoryStore that is about what was used."""

    _records: dict[str, Record]
    _deleted: list[Record]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def list_usage(self, where: UsageFilter) -> Sequence[UsageLine]:
        with self._transaction():
            summed: dict[tuple[str, AttemptOutcome], Sums] = defaultdict(Sums)
            for record in (*self._deleted, *self._records.values()):
                for month, outcome, used in _used_by(record.job):
                    if where.first <= month <= where.last and _matches(record.job, where):
                        summed[_name(record.job, month, where), outcome] += used
            return [UsageLine(*key, summed[key]) for key in sorted(summed, key=lambda key: (key[0], str(key[1])))]


def _used_by(job: Job) -> Iterator[tuple[str, AttemptOutcome, Sums]]:
    for attempt in job.attempts:
        if attempt.ended_at is not None:
            yield f"{attempt.ended_at:%Y-%m}", AttemptOutcome.of(attempt.reason), _of_attempt(job, attempt)
    for before, after in pairwise(job.transitions):
        if before.to_state is JobState.QUEUED and after.to_state in TERMINAL:
            yield f"{after.at:%Y-%m}", AttemptOutcome(after.to_state), Sums(waited=_span(before.at, after.at))


def _of_attempt(job: Job, attempt: Attempt) -> Sums:
    assert attempt.ended_at is not None
    began = next(n for n, each in enumerate(job.transitions) if each.attempt == attempt.number)
    lasted, cpus = _span(attempt.started_at, attempt.ended_at), job.request.get("resources", {}).get("cpus")
    return Sums(
        attempts=1,
        lasted=lasted,
        gpu=lasted * job.gpus,
        cpu=int(lasted * cpus) if cpus is not None else 0,
        without_cpus=lasted if cpus is None else 0,
        waited=_span(job.transitions[began - 1].at, attempt.started_at),
    )


def _span(since: datetime, until: datetime) -> int:
    return max(0, (until - since) // timedelta(microseconds=1))


def _matches(job: Job, where: UsageFilter) -> bool:
    wanted = (where.team, where.model, where.experiment)
    has = (job.team or "", job.model_name or "", job.experiment_name)
    return all(want in (None, had) for want, had in zip(wanted, has, strict=True))


def _name(job: Job, month: str, where: UsageFilter) -> str:
    names = {"month": month, "team": job.team, "model": job.model_name, "experiment": job.experiment_name}
    return names[where.by] or ""
