"""What every job store sums up of what was used, whatever becomes of jobs. One suite, three stores."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Code, FailureType, LeaseLost
from shared.jobs.model import JobState, Reason
from shared.jobs.monthly_usage import AttemptOutcome, Sums, UsageBy, UsageFilter, UsageLine
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, WAITED_TOO_LONG, a_host, claim, running, submit, try_claim
from tests.support.stores import MakeStore
from tests.support.threads import at_once

ALL = UsageFilter("0001-01", "9999-12", UsageBy.MONTH)
JANUARY, SECOND = "2030-01", 10**6
HOST_LOST = Reason(Code.HOST_LOST, FailureType.INFRASTRUCTURE, "Host gpu-1 was silent.")
GPUS = tuple(str(number) for number in range(64))
ENDINGS = {
    AttemptOutcome.SUCCEEDED: SUCCEEDED,
    AttemptOutcome.FAILED: FAILED,
    AttemptOutcome.LOST: replace(FAILED, reason=HOST_LOST),
    "retried": replace(FAILED, retry_in_seconds=30.0),
    "retried after its host was lost": replace(FAILED, reason=HOST_LOST, retry_in_seconds=0.0),
}


def _asking(cpus: float | None = None, **more: Any) -> dict[str, Any]:
    return {"experiment_name": "iris", "resources": {"gpus": 0, "cpus": cpus}, **more}


def _one(store: JobStore, where: UsageFilter = ALL) -> UsageLine:
    (line,) = store.list_usage(where)
    return line


def test_an_attempt_counts_with_its_gpus_its_cpus_and_its_wait_in_the_month_of_its_end(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    job = submit(store, gpus=2, request=_asking(cpus=1.5), model_name="iris", team="vision")
    clock.pass_seconds(60.000001)
    taken = claim(store, job, host=a_host(gpus=GPUS))
    assert store.list_usage(ALL) == []
    clock.now = datetime(2030, 1, 31, 23, 59, 59, tzinfo=clock.now.tzinfo)
    lasted = 31 * 86400 * SECOND - 61 * SECOND - 1
    store.finish(taken, SUCCEEDED)
    used = Sums(attempts=1, lasted=lasted, gpu=2 * lasted, cpu=lasted * 3 // 2, waited=60 * SECOND + 1)
    assert _one(store) == UsageLine(JANUARY, AttemptOutcome.SUCCEEDED, used)
    assert store.list_usage(replace(ALL, first="2030-02")) == []


def test_time_of_attempts_that_ask_for_no_cpus_is_told_apart(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    for request in (_asking(cpus=None), {"experiment_name": "of an older version"}):
        taken = running(store, request=request)
        clock.pass_seconds(2)
        store.finish(taken, FAILED)
    assert _one(store).sums == Sums(attempts=2, lasted=4 * SECOND, without_cpus=4 * SECOND)


def test_a_request_that_no_database_reads_as_text_ends_all_the_same(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    words = {"a": '\x00"resources": {"cpus": 9}', "b": "\ud800", "c": "'; DROP TABLE jobs; --"}
    taken = running(store, request={"parameters": words, **_asking(cpus=0.25)})
    clock.pass_seconds(4)
    store.finish(taken, SUCCEEDED)
    assert _one(store).sums.cpu == SECOND


def test_a_job_that_never_had_an_attempt_has_only_waited(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    cancelled, overdue = submit(store), submit(store)
    clock.pass_seconds(5)
    store.cancel(cancelled, force=False)
    store.fail_unsupervised(overdue, WAITED_TOO_LONG)
    assert [(line.outcome, line.sums) for line in store.list_usage(ALL)] == [
        (AttemptOutcome.CANCELLED, Sums(waited=5 * SECOND)),
        (AttemptOutcome.FAILED, Sums(waited=5 * SECOND)),
    ]


def test_sums_are_told_apart_by_what_is_asked_for_and_filtered(store: JobStore) -> None:
    for team, model in (("vision", "a"), ("vision", "b"), (None, None)):
        store.finish(running(store, team=team, model_name=model, experiment_name="one"), SUCCEEDED)

    def names(by: str, **only: str) -> dict[str, int]:
        lines = store.list_usage(replace(ALL, by=UsageBy(by), **only))
        return {line.name: line.sums.attempts for line in lines}

    assert names("team") == {"": 1, "vision": 2}
    assert names("model") == {"": 1, "a": 1, "b": 1}
    assert names("experiment") == {"one": 3}
    assert names("model", team="vision") == {"a": 1, "b": 1}
    assert names("team", model="") == {"": 1}
    assert names("team", experiment="another") == {}


def test_deleting_jobs_takes_nothing_from_the_past(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    store.finish(running(store), SUCCEEDED)
    before = store.list_usage(ALL)
    clock.pass_seconds(60)
    assert store.delete_ended(older_than_seconds=1, limit=9) == 1
    assert store.list_usage(ALL) == before


def test_an_attempt_that_is_taken_from_a_lost_host_counts_once_and_until_then(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    for name in ("gpu-1", "gpu-2"):
        store.beat(a_host(name), gap_seconds=3600)
    held = running(store, lease_seconds=5)
    clock.pass_seconds(300)
    store.beat(a_host("gpu-2"), gap_seconds=3600)
    taken = store.take_from_lost_host(held.job.id, by="gpu-2", after_seconds=120, lease_seconds=60)
    assert taken is not None
    store.finish(taken, ENDINGS[AttemptOutcome.LOST])
    with pytest.raises(LeaseLost):
        store.finish(held, SUCCEEDED)
    used = Sums(attempts=1, lasted=300 * SECOND, without_cpus=300 * SECOND)
    assert _one(store) == UsageLine(JANUARY, AttemptOutcome.LOST, used)


def test_attempts_that_end_at_once_are_all_counted(store: JobStore) -> None:
    taken = [running(store) for _ in range(16)]
    at_once(4, lambda number: [store.finish(each, SUCCEEDED) for each in taken[number::4]])
    assert sum(line.sums.attempts for line in store.list_usage(ALL)) == 16


def test_a_clock_that_was_set_back_takes_nothing_away(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    taken = running(store)
    clock.pass_seconds(-3600)
    store.finish(taken, SUCCEEDED)
    assert _one(store).sums == Sums(attempts=1)


@dataclass
class Oracle:
    """Counts by itself, from what it does to the store, what the store has to say."""

    store: JobStore
    clock: HeldClock
    queued: dict[str, tuple[dict[str, Any], datetime]] = field(default_factory=dict)
    taken: dict[str, tuple[dict[str, Any], int, datetime, Claim]] = field(default_factory=dict)
    retrying: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[tuple[str, str, AttemptOutcome], Sums] = field(default_factory=lambda: defaultdict(Sums))

    def submit(self, facts: dict[str, Any]) -> None:
        more = {"request": _asking(cpus=facts["cpus"])}
        job = submit(self.store, **{name: facts[name] for name in ("gpus", "team", "model_name")}, **more)
        self.queued[job] = facts, self.clock.now

    def begin(self, number: int) -> None:
        if job := _chosen(self.queued, number):
            facts, since = self.queued.pop(job)
            waited = _microseconds(since, self.clock.now)
            self.taken[job] = facts, waited, self.clock.now, claim(self.store, job, host=a_host(gpus=GPUS))

    def take_over(self, number: int) -> None:
        if job := _chosen(self.taken, number):
            facts, waited, since, had = self.taken[job]
            self.store.release(had)
            again = try_claim(self.store, job, host=a_host(gpus=GPUS))
            assert again is not None
            self.taken[job] = facts, waited, since, again

    def end(self, number: int, kind: str, *, cancelled: bool) -> None:
        if not (job := _chosen(self.taken, number)):
            return
        facts, waited, since, had = self.taken.pop(job)
        if cancelled:
            self.store.cancel(job, force=False)
        ended, ending = self.store.finish(had, ENDINGS[kind]), ENDINGS[kind]
        if ended.state is JobState.RETRY_WAIT:
            self.retrying[job] = facts
        lasted, cpus = _microseconds(since, self.clock.now), facts["cpus"]
        outcome = (
            AttemptOutcome.CANCELLED if cancelled and ending is not SUCCEEDED else AttemptOutcome.of(ending.reason)
        )
        used = Sums(
            attempts=1,
            lasted=lasted,
            gpu=lasted * facts["gpus"],
            cpu=int(lasted * cpus) if cpus else 0,
            without_cpus=0 if cpus else lasted,
            waited=waited,
        )
        self._add(facts, outcome, used)

    def give_up(self, number: int, kind: str) -> None:
        if job := _chosen(self.queued, number):
            facts, since = self.queued.pop(job)
            if kind == "cancelled":
                self.store.cancel(job, force=False)
            else:
                self.store.fail_unsupervised(job, WAITED_TOO_LONG)
            self._add(facts, AttemptOutcome(kind), Sums(waited=_microseconds(since, self.clock.now)))

    def pass_on(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)
        self.store.wake_retries()
        for job in [each for each in self.retrying if self.store.get(each).state is JobState.QUEUED]:
            self.queued[job] = self.retrying.pop(job), self.clock.now
        self.store.delete_ended(older_than_seconds=3 * 86400, limit=2)

    def lines(self, by: str) -> Sequence[UsageLine]:
        summed: dict[tuple[str, AttemptOutcome], Sums] = defaultdict(Sums)
        for (month, model, outcome), used in self.told.items():
            summed[{"month": month, "model": model}[by], outcome] += used
        return [UsageLine(*key, summed[key]) for key in sorted(summed, key=lambda key: (key[0], str(key[1])))]

    def _add(self, facts: dict[str, Any], outcome: AttemptOutcome, used: Sums) -> None:
        self.told[f"{self.clock.now:%Y-%m}", facts["model_name"] or "", outcome] += used


def _chosen(jobs: dict[str, Any], number: int) -> str | None:
    return sorted(jobs, key=lambda job: list(jobs).index(job))[number % len(jobs)] if jobs else None


def _microseconds(since: datetime, until: datetime) -> int:
    return round((until - since).total_seconds() * SECOND)


FACTS = st.fixed_dictionaries(
    {
        "gpus": st.sampled_from([0, 1, 3]),
        "cpus": st.sampled_from([None, 0.01, 0.5, 2.0, 7.3]),
        "team": st.sampled_from([None, "vision"]),
        "model_name": st.sampled_from([None, "iris", "wine"]),
    }
)
NUMBERS = st.integers(0, 7)
STEPS = st.one_of(
    st.tuples(st.just("submit"), FACTS),
    st.tuples(st.just("begin"), NUMBERS),
    st.tuples(st.just("begin"), NUMBERS),
    st.tuples(st.just("take_over"), NUMBERS),
    st.tuples(st.just("end"), NUMBERS, st.sampled_from(sorted(ENDINGS)), st.booleans()),
    st.tuples(st.just("give_up"), NUMBERS, st.sampled_from(["cancelled", "failed"])),
    st.tuples(st.just("pass_on"), st.floats(0, 20 * 86400).map(lambda seconds: round(seconds, 6))),
)


@pytest.mark.parametrize("by", ["month", "model"])
def test_the_sums_are_what_whoever_watched_everything_counts(make_store: MakeStore, by: str) -> None:
    clock = HeldClock()
    oracle = Oracle(make_store(clock=clock), clock)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
    @given(steps=st.lists(STEPS, min_size=10, max_size=40))
    def follow(steps: list[tuple[Any, ...]]) -> None:
        for name, *values in steps:
            if name == "end":
                oracle.end(values[0], values[1], cancelled=values[2])
            else:
                getattr(oracle, name)(*values)
        assert oracle.store.list_usage(replace(ALL, by=UsageBy(by))) == oracle.lines(by)

    follow()
