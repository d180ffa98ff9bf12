"""What every job store knows of hosts: signs of life, and the jobs of a host that has fallen silent."""

from dataclasses import replace

import pytest

from shared.errors import Code, FailureType, LeaseLost
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Claim, Ending
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.jobs import SUCCEEDED, a_host, claim, claimed, ended, in_retry_wait, running, submit, try_claim
from tests.support.stores import MakeStore
from tests.support.threads import at_once
from tests.support.waiting import wait_until

LONG = 3600.0
LOST_SECONDS = 900.0
LEASE_SECONDS = 30.0
HOST_LOST = Reason(Code.HOST_LOST, FailureType.INFRASTRUCTURE, "Host gpu-1 sent no heartbeat.")
GIVEN_UP = Ending(JobState.FAILED, HOST_LOST, retry_in_seconds=0)


def test_workers_live_as_long_as_they_give_signs_of_life(store: JobStore) -> None:
    assert store.live_workers(within_seconds=LONG) == 0
    for host in ("gpu-1", "gpu-2", "gpu-1"):
        store.beat(a_host(host), gap_seconds=60)
    assert store.live_workers(within_seconds=LONG) == 2
    wait_until(lambda: store.live_workers(within_seconds=1) == 0)
    store.beat(a_host("gpu-1"), gap_seconds=60)
    assert store.live_workers(within_seconds=1) == 1


def test_two_workers_of_one_name_that_start_at_once_count_as_one(store: JobStore) -> None:
    at_once(20, lambda _: store.beat(a_host("gpu-1"), gap_seconds=60))
    assert store.live_workers(within_seconds=LONG) == 1


def test_a_worker_that_left_is_not_counted_and_may_leave_twice(store: JobStore) -> None:
    store.beat(a_host("gpu-1"), gap_seconds=60)
    store.beat(a_host("gpu-2"), gap_seconds=60)
    store.leave("gpu-1")
    store.leave("gpu-1")
    assert store.live_workers(within_seconds=LONG) == 1
    store.beat(a_host("gpu-1"), gap_seconds=60)
    assert store.live_workers(within_seconds=LONG) == 2


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``watched``."""
    return HeldClock()


@pytest.fixture
def watched(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store that goes by ``clock``."""
    return make_store(clock=clock)


def _beats(store: JobStore, clock: HeldClock, *hosts: str, seconds: float = LOST_SECONDS) -> None:
    """Signs of life of these hosts for that long."""
    for _ in range(int(seconds / LEASE_SECONDS)):
        for host in hosts:
            store.beat(a_host(host), gap_seconds=60)
        clock.pass_seconds(LEASE_SECONDS)
    for host in hosts:
        store.beat(a_host(host), gap_seconds=60)


def _lost(store: JobStore, *, by: str = "gpu-2") -> list[str]:
    return list(store.find_lost(by=by, after_seconds=LOST_SECONDS))


def _take(store: JobStore, job_id: str, *, by: str = "gpu-2") -> Claim | None:
    return store.take_from_lost_host(job_id, by=by, after_seconds=LOST_SECONDS, lease_seconds=LEASE_SECONDS)


def _taken(store: JobStore, job_id: str) -> Claim:
    taken = _take(store, job_id)
    assert taken is not None, store.get(job_id)
    return taken


def test_a_host_that_was_silent_for_long_is_forgotten_once_its_jobs_are_given_up(
    watched: JobStore, clock: HeldClock
) -> None:
    _beats(watched, clock, "gpu-1", "gpu-2", "gpu-3")
    held = running(watched, lease_seconds=LEASE_SECONDS)
    watched.leave("gpu-3")
    _beats(watched, clock, "gpu-2")
    assert watched.forget_hosts(silent_seconds=LOST_SECONDS + 1) == []
    assert watched.forget_hosts(silent_seconds=LOST_SECONDS) == ["gpu-3"]
    watched.finish(_taken(watched, held.job.id), GIVEN_UP)
    assert watched.forget_hosts(silent_seconds=LOST_SECONDS) == ["gpu-1"]
    assert [worker.host.name for worker in watched.list_workers()] == ["gpu-2"]


def test_a_drained_host_is_not_forgotten_and_is_drained_when_it_comes_back(watched: JobStore, clock: HeldClock) -> None:
    _beats(watched, clock, "gpu-1")
    watched.drain("gpu-1", reason="new disks")
    _beats(watched, clock, "gpu-2")
    assert watched.forget_hosts(silent_seconds=LOST_SECONDS) == []
    watched.undrain("gpu-1")
    assert watched.forget_hosts(silent_seconds=LOST_SECONDS) == ["gpu-1"]

    watched.beat(a_host("gpu-1"), gap_seconds=60)
    assert [worker.host.name for worker in watched.list_workers()] == ["gpu-1", "gpu-2"]


def test_the_jobs_of_a_host_that_was_silent_for_long_are_lost(watched: JobStore, clock: HeldClock) -> None:
    _beats(watched, clock, "gpu-1", "gpu-2")
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    _beats(watched, clock, "gpu-2", seconds=LOST_SECONDS - LEASE_SECONDS)
    assert (_lost(watched), _take(watched, job_id)) == ([], None)
    _beats(watched, clock, "gpu-2", seconds=LEASE_SECONDS)
    assert _lost(watched) == [job_id]


@pytest.mark.parametrize("lives", [["gpu-2"], ["gpu-1", "gpu-2"]])
def test_a_job_with_a_live_lease_or_host_is_not_lost(watched: JobStore, clock: HeldClock, lives: list[str]) -> None:
    held = running(watched, lease_seconds=LEASE_SECONDS)
    _beats(watched, clock, *lives)
    if "gpu-1" not in lives:
        watched.renew(held, lease_seconds=LEASE_SECONDS)
    assert (_lost(watched), _take(watched, held.job.id)) == ([], None)


def test_jobs_that_nobody_supervises_are_not_lost(watched: JobStore, clock: HeldClock) -> None:
    jobs = [submit(watched), ended(watched), in_retry_wait(watched, seconds=LONG), "no-such-job"]
    _beats(watched, clock, "gpu-2")
    assert _lost(watched) == []
    assert [_take(watched, job_id) for job_id in jobs] == [None] * 4


def test_a_host_without_any_sign_of_life_counts_from_the_attempts_start(watched: JobStore, clock: HeldClock) -> None:
    _beats(watched, clock, "gpu-2")
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    _beats(watched, clock, "gpu-2", seconds=LOST_SECONDS - LEASE_SECONDS)
    assert _lost(watched) == []
    _beats(watched, clock, "gpu-2", seconds=LEASE_SECONDS)
    assert _lost(watched) == [job_id]


def test_a_host_that_left_and_never_came_back_is_lost_in_the_end(watched: JobStore, clock: HeldClock) -> None:
    _beats(watched, clock, "gpu-1", "gpu-2")
    held = running(watched)
    watched.release(held)
    watched.leave("gpu-1")
    assert _lost(watched) == []
    _beats(watched, clock, "gpu-2")
    assert _lost(watched) == [held.job.id]


def test_who_has_not_watched_for_as_long_finds_nothing(watched: JobStore, clock: HeldClock) -> None:
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    clock.pass_seconds(10 * LOST_SECONDS)  # the store was away: everyone looks lost
    assert _lost(watched) == []
    _beats(watched, clock, "gpu-2", seconds=LOST_SECONDS - LEASE_SECONDS)
    assert (_lost(watched), _take(watched, job_id)) == ([], None)
    assert _lost(watched, by="gpu-3") == []
    _beats(watched, clock, "gpu-2", seconds=LEASE_SECONDS)
    assert _lost(watched) == [job_id]


def test_a_gap_in_the_watchers_own_signs_of_life_begins_its_watch_anew(watched: JobStore, clock: HeldClock) -> None:
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    _beats(watched, clock, "gpu-2")
    clock.pass_seconds(61)
    watched.beat(a_host("gpu-2"), gap_seconds=60)
    assert (_lost(watched), _take(watched, job_id)) == ([], None)
    _beats(watched, clock, "gpu-2")
    assert _lost(watched) == [job_id]


def test_a_watcher_that_fell_silent_or_left_finds_nothing(watched: JobStore, clock: HeldClock) -> None:
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    _beats(watched, clock, "gpu-2")
    clock.pass_seconds(61)
    assert (_lost(watched), _take(watched, job_id)) == ([], None)
    watched.beat(a_host("gpu-2"), gap_seconds=300)
    assert _lost(watched) == [job_id]
    watched.leave("gpu-2")
    assert (_lost(watched), _take(watched, job_id)) == ([], None)


def test_taking_a_lost_job_fences_its_host_out_and_tells_why(watched: JobStore, clock: HeldClock) -> None:
    old = running(watched, lease_seconds=LEASE_SECONDS)
    _beats(watched, clock, "gpu-2", seconds=LOST_SECONDS + LEASE_SECONDS)
    new = _taken(watched, old.job.id)
    assert new.token > old.token
    assert (new.job.state, new.job.host, len(new.job.attempts)) == (JobState.RUNNING, "gpu-1", 1)
    last = new.job.transitions[-1]
    assert (last.from_state, last.to_state) == (JobState.RUNNING, JobState.RUNNING)
    assert last.reason == ("host gpu-1 sent no heartbeat for 930 s; its attempt is given up by the worker on gpu-2")
    for late in (lambda: watched.renew(old, lease_seconds=60), lambda: watched.finish(old, SUCCEEDED)):
        with pytest.raises(LeaseLost):
            late()
    assert try_claim(watched, old.job.id) is None  # nor may it go on when it returns
    assert watched.get(old.job.id) == new.job


def test_a_lost_attempt_ends_and_the_next_one_runs_elsewhere(watched: JobStore, clock: HeldClock) -> None:
    old = running(watched, lease_seconds=LEASE_SECONDS, secret=b"sealed")
    _beats(watched, clock, "gpu-2")
    new = _taken(watched, old.job.id)
    waiting = watched.finish(new, GIVEN_UP)
    assert (waiting.state, waiting.attempt.reason) == (JobState.RETRY_WAIT, HOST_LOST)
    assert watched.wake_retries() == 1
    second = claim(watched, old.job.id, host="gpu-2")
    assert [attempt.host for attempt in second.job.attempts] == ["gpu-1", "gpu-2"]
    assert watched.secret(second) == b"sealed"


@pytest.mark.parametrize("begin", [claimed, running])
def test_a_lost_job_that_is_being_cancelled_ends_as_cancelled(
    watched: JobStore, clock: HeldClock, begin: type[Claim]
) -> None:
    old = begin(watched, lease_seconds=LEASE_SECONDS)  # type: ignore[call-arg, arg-type]
    watched.cancel(old.job.id, force=False)
    _beats(watched, clock, "gpu-2")
    assert watched.finish(_taken(watched, old.job.id), GIVEN_UP).state is JobState.CANCELLED


def test_a_lost_job_whose_taker_is_lost_too_is_found_by_the_next(watched: JobStore, clock: HeldClock) -> None:
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    _beats(watched, clock, "gpu-2", "gpu-3")
    first = _taken(watched, job_id)
    assert (_lost(watched, by="gpu-3"), _take(watched, job_id, by="gpu-3")) == ([], None)
    _beats(watched, clock, "gpu-3", seconds=LEASE_SECONDS)
    assert _lost(watched, by="gpu-3") == [job_id]
    second = _take(watched, job_id, by="gpu-3")
    assert second is not None
    assert second.token > first.token
    with pytest.raises(LeaseLost):
        watched.finish(first, GIVEN_UP)


def test_a_host_that_comes_back_before_anyone_took_its_job_goes_on(watched: JobStore, clock: HeldClock) -> None:
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    _beats(watched, clock, "gpu-2")
    watched.beat(a_host("gpu-1"), gap_seconds=60)
    assert (_lost(watched), _take(watched, job_id)) == ([], None)
    assert claim(watched, job_id).attempt.number == 1


def test_many_that_take_a_lost_job_at_once_get_one_claim(watched: JobStore, clock: HeldClock) -> None:
    job_id = running(watched, lease_seconds=LEASE_SECONDS).job.id
    hosts = [f"host-{number}" for number in range(12)]
    _beats(watched, clock, *hosts)
    taken = at_once(12, lambda number: _take(watched, job_id, by=hosts[number]))
    assert len([one for one in taken if one]) == 1


def test_a_lost_hosts_slots_and_gpus_are_held_until_its_attempts_are_given_up(
    watched: JobStore, clock: HeldClock
) -> None:
    host = a_host(slots=1, gpus=("0",))
    claim(watched, submit(watched, gpus=1), host=host, lease_seconds=LEASE_SECONDS)
    _beats(watched, clock, "gpu-2")
    [job_id] = _lost(watched)
    assert try_claim(watched, submit(watched, gpus=1), host=host) is None
    watched.finish(_taken(watched, job_id), replace(GIVEN_UP, retry_in_seconds=None))
    assert claim(watched, submit(watched, gpus=1), host=host).attempt.gpu_ids == ("0",)
