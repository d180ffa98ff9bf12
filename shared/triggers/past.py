"""Finds in past jobs and recorded changes what a backtest starts from. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median

from shared.jobs.model import Job, JobState
from shared.jobs.triggers import Kind, Occurrence
from shared.triggers.backtest import Change
from shared.triggers.fields import When


def median_seconds(jobs: Iterable[Job]) -> float | None:
    """Return how long those that succeeded took, from their first start; None if none did."""
    lengths = [
        (job.ended_at - job.started_at).total_seconds()
        for job in jobs
        if job.state is JobState.SUCCEEDED and job.started_at and job.ended_at
    ]
    return median(lengths) if lengths else None


def changes_in(jobs: Iterable[Job], field: str) -> Sequence[Change]:
    """Return when jobs first had another commit or revision of the data: it had changed by then at the latest."""
    found: list[Change] = []
    for job in sorted(jobs, key=lambda each: each.created_at):
        revision = getattr(job, field)
        if revision is not None and (not found or found[-1].revision != revision):
            found.append(Change(job.created_at, revision))
    return found


def occurrences_of(
    when: When, since: datetime, *, data: Sequence[Change], code: Sequence[Change], known: Sequence[Occurrence]
) -> Sequence[Occurrence]:
    """Return what would have come, by time; for kinds of which nothing is recorded elsewhere, ``known``."""
    if when.dataset is not None:
        return tuple(_looked_at(data, since, timedelta(seconds=when.dataset.look_every_seconds)))
    if when.kind is Kind.GIT and code:
        return tuple(_occurrence(change, change.at) for change in code)
    return sorted(known, key=lambda each: each.at)


def _looked_at(changes: Sequence[Change], since: datetime, every: timedelta) -> Iterator[Occurrence]:
    """Yield the newest change that each look finds."""
    found = {since - (since - change.at) // every * every: change for change in changes if change.at > since}
    yield from (_occurrence(change, at) for at, change in found.items())


def _occurrence(change: Change, at: datetime) -> Occurrence:
    return Occurrence(f"revision {change.revision} {change.at.isoformat()}", at, facts={"revision": change.revision})
