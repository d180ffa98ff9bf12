"""A thousand jobs of which many fail and are tried again: nobody who may start is passed by a job that came later."""

import random
from dataclasses import replace

from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, a_host, claim, submit

JOBS, SLOTS, FAILING = 1000, 100, 0.3
TRAINING_SECONDS, BACKOFF_SECONDS = 60, 30


def test_among_a_thousand_jobs_with_failures_in_between_none_that_waits_is_passed_by_a_later_one() -> None:
    chance, clock = random.Random(7), HeldClock()  # noqa: S311 - the same jobs fail in each run
    store = MemoryStore(clock=clock, limits=Limits())
    ages = {_waiting(store, clock, number): number for number in range(JOBS)}
    backing_off: set[str] = set()
    done: list[str] = []
    retried = 0
    while len(done) < JOBS:
        taken = [job.id for job in store.take_sendable(a_host(slots=SLOTS), resend_after_seconds=3600)]
        waiting = ages.keys() - backing_off - set(done)
        assert taken == sorted(waiting, key=ages.__getitem__)[:SLOTS]
        claims = [claim(store, job_id, host=a_host(slots=SLOTS)) for job_id in taken]
        clock.pass_seconds(TRAINING_SECONDS)
        failing = [one for one in claims if _fails(one, chance)]
        for one in claims:
            store.finish(one, replace(FAILED, retry_in_seconds=BACKOFF_SECONDS) if one in failing else SUCCEEDED)
        retried += len(failing)
        done += [one.job.id for one in claims if one not in failing]
        if backing_off:
            assert store.wake_retries() == len(backing_off)
        backing_off = {one.job.id for one in failing}
    assert retried > JOBS * FAILING / 2


def _waiting(store: JobStore, clock: HeldClock, number: int) -> str:
    job_id = submit(store, concurrency_key=f"model:{number}")
    store.unmark_sent(job_id)
    clock.pass_seconds(1)
    return job_id


def _fails(one: Claim, chance: random.Random) -> bool:
    return one.attempt.number < 3 and chance.random() < FAILING
