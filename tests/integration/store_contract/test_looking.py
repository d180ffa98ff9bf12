"""What every job store does for looks at jobs that wait."""

from dataclasses import replace
from typing import Any

from shared.jobs.store import JobStore
from shared.scheduling.hosts import QueueCode
from tests.support.jobs import a_host, claim, submit
from tests.support.threads import at_once


def _take(store: JobStore, after_seconds: float = 0, **host: Any) -> str | None:
    found = store.take_to_look_at(replace(a_host(), **host), after_seconds=after_seconds)
    return found.job.id if found else None


def test_each_job_that_waits_is_looked_at_once_in_order(store: JobStore) -> None:
    first, urgent, begun = submit(store), submit(store, priority=9, secret=b"sealed"), submit(store)
    claim(store, begun)
    found = store.take_to_look_at(a_host(), after_seconds=0)
    assert found
    assert (found.job.id, found.secret) == (urgent, b"sealed")
    assert "sealed" not in repr(found)
    assert [_take(store), _take(store)] == [first, None]


def test_many_workers_at_once_look_at_each_job_once(store: JobStore) -> None:
    jobs = {submit(store) for _ in range(5)}
    taken = [each for each in at_once(10, lambda _: _take(store)) if each]
    while left := _take(store):
        taken.append(left)
    assert sorted(taken) == sorted(jobs)


def test_a_host_looks_only_at_what_it_may_run_and_while_it_takes_jobs(store: JobStore) -> None:
    job_id = submit(store, wanted_host="other")
    submit(store, queue="elsewhere")
    submit(store, wanted_labels=("a100",))
    submit(store, gpus=99)
    assert _take(store) is None
    assert _take(store, name="other", closed_because=QueueCode.DISK_FULL) is None
    assert _take(store, name="other") == job_id


def test_a_job_that_has_just_come_is_not_looked_at(store: JobStore) -> None:
    job_id = submit(store)
    assert _take(store, after_seconds=3600) is None
    assert _take(store) == job_id
