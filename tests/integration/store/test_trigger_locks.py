"""On each database nothing waits for a trigger that waits for it: settlements beside all that changes their jobs."""

import itertools
import time
from collections.abc import Callable
from contextlib import suppress

from shared.errors import JobEnded, JobNotFound, LeaseLost
from shared.jobs.model import JobState
from shared.jobs.records import JobFilter
from shared.scheduling.limits import Limits
from shared.sql import SqlStore
from tests.support.jobs import FAILED, SUCCEEDED, a_host, new_job, try_claim
from tests.support.kept_triggers import LEASE_SECONDS, add, events, occurrence, report, settle
from tests.support.length import rounds
from tests.support.threads import at_once

TRIGGERS = ("a", "b", "c")
SECONDS = rounds(2, long=30)
POLICY = {"if_running": "cancel_older", "disable_after": 50}


class Crowd:
    """Everybody who writes about triggers and their jobs."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.numbers = itertools.count()

    def send(self) -> None:
        for name in TRIGGERS:
            report(self.store, f"signal {next(self.numbers)}", name=name, subject=str(next(self.numbers)))

    def look(self) -> None:
        due = self.store.take_due_trigger(lease_seconds=LEASE_SECONDS)
        if due is not None:
            with suppress(LeaseLost):
                settle(self.store, due)

    def work(self) -> None:
        for job in self.store.list(JobFilter(states=frozenset({JobState.QUEUED})), limit=5):
            if held := try_claim(self.store, job.id):
                with suppress(LeaseLost):
                    self.store.started(held, runner="docker", container="c")
                    self.store.finish(held, FAILED if next(self.numbers) % 2 else SUCCEEDED)

    def sweep(self) -> None:
        self.store.take_sendable(a_host(), resend_after_seconds=0)
        self.store.wake_retries()
        self.store.delete_ended(older_than_seconds=0.5, limit=20)
        self.store.pause_failing_triggers()
        self.store.forget_trigger_events(older_than_days=1, most=20)

    def cancel(self) -> None:
        for job in self.store.list(JobFilter(), limit=5):
            with suppress(JobEnded, JobNotFound):
                self.store.cancel(job.id, force=False)

    def people(self) -> None:
        for name in TRIGGERS:
            about = occurrence(self.store, f"hand {next(self.numbers)}", name=name)
            assert self.store.fire_trigger(name, about, new_job(trigger_name=name)).job is not None
            self.store.pause_trigger(name, reason="")
            self.store.resume_trigger(name)
        self.store.pause_triggers(reason="")
        self.store.resume_triggers()


def test_settlements_cancel_claim_finish_sweeps_and_people_do_not_deadlock(sql_url: str) -> None:
    store = SqlStore(sql_url, limits=Limits(per_key=100))
    for name in TRIGGERS:
        add(store, name, policy=POLICY)
    crowd, until = Crowd(store), time.monotonic() + SECONDS
    steps: list[tuple[Callable[[], None], float]] = [(crowd.send, 0.01), *[(crowd.look, 0.0)] * 3]
    steps += [*[(crowd.work, 0.0)] * 3, (crowd.sweep, 0.05), (crowd.cancel, 0.1), (crowd.people, 0.5)]

    def go_on(which: int) -> int:
        step, pause_seconds = steps[which]
        done = 0
        while time.monotonic() < until:
            step()
            done += 1
            time.sleep(pause_seconds)  # what is paused or cancelled all the time fires nothing
        return done

    assert min(at_once(len(steps), go_on)) > 0  # none raised: a deadlock is StoreUnavailable
    fired = [each.job_id for name in TRIGGERS for each in events(store, name) if each.job_id is not None]
    assert len(fired) == len(set(fired)) > len(TRIGGERS)
    store.close()
