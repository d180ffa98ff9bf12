"""Simulates what a trigger would have started under a policy, by the decision that workers make. Pure.

The worker in it looks at once, all jobs succeed and are equally long, and those of one trigger run one after the other.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, islice

from shared.jobs.triggers import Kind, Occurrence, Outcome, Verdict
from shared.triggers.fields import Policy, When
from shared.triggers.policy import Facts, begin_of_day, decide, if_running
from shared.triggers.ticks import STOOD_FOR, occurrence_at, times_after

MOST_OCCURRENCES = 10_000  # a tick every 13 minutes for 90 days


class TooManyOccurrences(ValueError):
    """More than are simulated."""


@dataclass(frozen=True)
class Change:
    """Since when the code or the data has that revision."""

    at: datetime
    revision: str


@dataclass(frozen=True, kw_only=True)
class Past:
    """What is known of the past. Occurrences of cron and every are not needed: they follow from the times."""

    since: datetime
    until: datetime
    occurrences: Sequence[Occurrence] = ()
    data: Sequence[Change] = ()  # by time, also the last one before ``since``; likewise code
    code: Sequence[Change] = ()
    job_seconds: float | None = None  # None: unknown, and every job ends at once
    gpus: float = 0
    cpus: float | None = None  # None: unknown


@dataclass(frozen=True)
class Mark:
    """What became of an occurrence at a time; ``rule`` is the policy's field that decided, if one did."""

    at: datetime
    outcome: Outcome
    rule: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Backtested:
    """What would have come of one policy. Hours and the age of data are None where what they follow from is unknown."""

    jobs: int
    cancelled: int
    skipped: Mapping[str, int]  # occurrences, by the policy's field; likewise waited
    waited: Mapping[str, int]
    superseded: int
    still_waiting: int
    gpu_hours: float | None
    cpu_hours: float | None
    longest_without_change_seconds: float | None  # from a change of the data to the end of the job that trained on it
    oldest_data_seconds: float  # from the start of a job to the end of the next one
    timeline: Sequence[Mark]


def backtest(name: str, when: When, policy: Policy, past: Past) -> Backtested:
    """Return what the policy would have made of the past. Raise TooManyOccurrences."""
    simulation = _Simulation(name, when.kind, policy, past)
    for at, occurrence, verdict in _arriving(name, when, policy, past):
        simulation.add(at, occurrence, verdict)
    simulation.run()
    return simulation.result()


def _arriving(
    name: str, when: When, policy: Policy, past: Past
) -> Iterator[tuple[datetime, Occurrence, Verdict | None]]:
    """Yield when a worker finds what, and what becomes of it if the policy is not asked."""
    if not when.kind.is_tick:
        if len(past.occurrences) > MOST_OCCURRENCES:
            raise TooManyOccurrences(f"has more than {MOST_OCCURRENCES} occurrences")
        yield from ((each.at, each, None) for each in past.occurrences if past.since < each.at <= past.until)
        return
    found = list(islice(_due(name, when, policy, past), MOST_OCCURRENCES + 1))
    if len(found) > MOST_OCCURRENCES:
        raise TooManyOccurrences(f"comes more than {MOST_OCCURRENCES} times in it")
    for (due_at, occurrence), after in zip(found, [*found[1:], None], strict=True):
        is_stood_for = after is not None and after[0] == due_at
        yield due_at, occurrence, Verdict(Outcome.SKIPPED, STOOD_FOR, rule="jitter") if is_stood_for else None


def _due(name: str, when: When, policy: Policy, past: Past) -> Iterator[tuple[datetime, Occurrence]]:
    due_at = past.since
    for at in times_after(when, past.since, anchor=past.since):
        occurrence = occurrence_at(at)
        due_at = max(due_at, occurrence.delayed(name, policy.jitter))
        if due_at > past.until:
            return
        yield due_at, occurrence


@dataclass
class _Job:
    fired_at: datetime
    starts_at: datetime
    ends_at: datetime
    inputs: Mapping[str, str | None] | None
    is_cancelled: bool = False


class _Simulation:
    def __init__(self, name: str, kind: Kind, policy: Policy, past: Past) -> None:
        self._name, self._kind, self._policy, self._past = name, kind, policy, past
        self._numbers = count()
        self._coming: list[tuple[datetime, int, Occurrence, Verdict | None]] = []
        self._waiting: dict[str, int] = {}  # by subject
        self._superseded: set[int] = set()
        self._waited: set[tuple[int, str]] = set()
        self._fired: list[_Job] = []
        self._unfinished: deque[_Job] = deque()  # they end in this order
        self._last: _Job | None = None  # that succeeded
        self._marks: list[Mark] = []

    def add(self, at: datetime, occurrence: Occurrence, verdict: Verdict | None) -> None:
        """Have it come at that time."""
        heapq.heappush(self._coming, (at, next(self._numbers), occurrence, verdict))

    def run(self) -> None:
        """Let the time pass."""
        while self._coming and self._coming[0][0] <= self._past.until:
            at, number, occurrence, verdict = heapq.heappop(self._coming)
            if number in self._superseded:
                continue
            while self._unfinished and self._unfinished[0].ends_at <= at:
                self._last = self._unfinished.popleft()
            self._settle(at, number, occurrence, verdict or self._decide(at, occurrence))

    def _decide(self, now: datetime, occurrence: Occurrence) -> Verdict:
        today = begin_of_day(self._policy, now) if self._policy.max_per_day is not None else now
        facts = Facts(
            now=now,
            fired_at=self._fired[-1].fired_at if self._fired else None,
            fired_today=len(self._fired) - bisect_left(self._fired, today, key=lambda job: job.fired_at),
            unfinished=("of the simulation",) if self._unfinished else (),
            last_inputs=self._last.inputs if self._last else None,
            inputs=_inputs_at(self._past, now),
        )
        return decide(self._name, self._kind, self._policy, occurrence, facts)

    def _settle(self, now: datetime, number: int, occurrence: Occurrence, verdict: Verdict) -> None:
        if self._waiting.get(occurrence.subject) == number:
            del self._waiting[occurrence.subject]
        if verdict.outcome in (Outcome.WAITING, Outcome.FIRED):
            self._supersede(now, occurrence.subject)
        if verdict.outcome is Outcome.FIRED:
            self._fire(now)
        if verdict.until is not None:
            self._waiting[occurrence.subject] = number
            heapq.heappush(self._coming, (verdict.until, number, occurrence, None))
        if verdict.until is None or (number, verdict.rule) not in self._waited:
            self._marks.append(Mark(now, verdict.outcome, verdict.rule, verdict.reason))
        if verdict.until is not None:
            self._waited.add((number, verdict.rule))

    def _supersede(self, now: datetime, subject: str) -> None:
        if (older := self._waiting.pop(subject, None)) is not None:
            self._superseded.add(older)
            self._marks.append(Mark(now, Outcome.SUPERSEDED, "", "a later one came while it waited"))

    def _fire(self, now: datetime) -> None:
        if if_running(self._policy, self._kind) == "cancel_older":
            for job in self._unfinished:
                job.is_cancelled, job.ends_at = True, now
            self._unfinished.clear()
        starts_at = max(now, self._unfinished[-1].ends_at) if self._unfinished else now
        ends_at = starts_at + timedelta(seconds=self._past.job_seconds or 0)
        job = _Job(now, starts_at, ends_at, _inputs_at(self._past, now))
        self._fired.append(job)
        self._unfinished.append(job)

    def result(self) -> Backtested:
        """Return what came of it."""
        past, done = self._past, [job for job in self._fired if not job.is_cancelled]
        hours = sum(max(0.0, (job.ends_at - job.starts_at).total_seconds()) for job in self._fired) / 3600
        is_known = past.job_seconds is not None
        skipped = Counter(mark.rule for mark in self._marks if mark.outcome is Outcome.SKIPPED)
        return Backtested(
            jobs=len(self._fired),
            cancelled=len(self._fired) - len(done),
            skipped=dict(skipped),
            waited=dict(Counter(rule for _, rule in self._waited)),
            superseded=len(self._superseded),
            still_waiting=len(self._waiting),
            gpu_hours=hours * past.gpus if is_known else None,
            cpu_hours=hours * past.cpus if is_known and past.cpus is not None else None,
            longest_without_change_seconds=_longest_without_change(past, done),
            oldest_data_seconds=_oldest_data(past, done),
            timeline=tuple(self._marks),
        )


def _inputs_at(past: Past, at: datetime) -> Mapping[str, str | None] | None:
    found = {"code": _revision_at(past.code, at), "data": _revision_at(past.data, at)}
    is_unknown = found["data"] is None if past.data else found["code"] is None
    return None if is_unknown or (past.code and found["code"] is None) else found


def _revision_at(changes: Sequence[Change], at: datetime) -> str | None:
    number = bisect_right(changes, at, key=lambda change: change.at)
    return changes[number - 1].revision if number else None


def _longest_without_change(past: Past, done: Sequence[_Job]) -> float | None:
    changes = [change.at for change in past.data if past.since < change.at <= past.until]
    if not changes:
        return None
    starts = [job.starts_at for job in done]
    ends = [*(min(job.ends_at, past.until) for job in done), past.until]
    return max((ends[bisect_left(starts, at)] - at).total_seconds() for at in changes)


def _oldest_data(past: Past, done: Sequence[_Job]) -> float:
    read = [past.since, *(job.starts_at for job in done)]
    replaced = [*(min(job.ends_at, past.until) for job in done), past.until]
    return max((after - before).total_seconds() for before, after in zip(read, replaced, strict=True))
