"""What every job store does when two machines have one host name: a cloned machine, a copied .env."""

from dataclasses import replace

import pytest

from shared.errors import HostNameTaken
from shared.jobs.model import JobState
from shared.jobs.statistics import Worker
from shared.jobs.store import JobStore
from shared.scheduling.hosts import LIVE_SECONDS, Host, Machine
from tests.support.clocks import HeldClock
from tests.support.jobs import a_host, claim, submit, try_claim
from tests.support.stores import MakeStore

LEASE_SECONDS = 30.0
LOST_SECONDS = 900.0
FIRST = a_host("gpu-1", machine=Machine("machine-a", "engine-a", "vm-a (engine a)"))
SECOND = a_host("gpu-1", machine=Machine("machine-b", "engine-b", "vm-b (engine b)"))
MOVED = replace(FIRST, machine=Machine("machine-a", "engine-c", "vm-a (engine c)"))
NO_ENGINE = replace(FIRST, machine=Machine("machine-a", None, "vm-a (engine not known yet)"))
OLDER = a_host("gpu-1")
WATCHER = a_host("gpu-2", machine=Machine("machine-w", "engine-w", "vm-w"))


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(make_store: MakeStore, clock: HeldClock) -> JobStore:
    return make_store(clock=clock)


def _beat(store: JobStore, host: Host) -> None:
    store.beat(host, gap_seconds=60)


def _beats(store: JobStore, clock: HeldClock, *hosts: Host, seconds: float) -> None:
    for _ in range(int(seconds / LEASE_SECONDS)):
        for host in hosts:
            _beat(store, host)
        clock.pass_seconds(LEASE_SECONDS)
    for host in hosts:
        _beat(store, host)


def _worker(store: JobStore) -> Worker:
    return next(worker for worker in store.list_workers() if worker.host.name == "gpu-1")


def _orphaned(store: JobStore, clock: HeldClock, by: Host = FIRST) -> str:
    """A job that the machine began and whose lease is over."""
    job_id = submit(store)
    held = claim(store, job_id, host=by, lease_seconds=LEASE_SECONDS)
    store.started(held, runner="docker", container="c1")
    clock.pass_seconds(LEASE_SECONDS + 1)
    return job_id


def test_a_second_live_machine_of_one_name_is_refused_and_both_are_named(store: JobStore, clock: HeldClock) -> None:
    _beat(store, FIRST)
    clock.pass_seconds(LIVE_SECONDS - 1)
    with pytest.raises(HostNameTaken) as caught:
        _beat(store, SECOND)
    assert caught.value.facts["host"] == "gpu-1"
    worker = _worker(store)
    assert worker.host.machine == FIRST.machine
    assert worker.silent_seconds == LIVE_SECONDS - 1  # the refused one kept nobody alive
    assert worker.refused is not None
    assert (worker.refused.machine, worker.refused.at) == ("vm-b (engine b)", clock())


@pytest.mark.parametrize("how", ["silent", "left"])
def test_the_name_of_a_machine_that_left_or_fell_silent_is_free(store: JobStore, clock: HeldClock, how: str) -> None:
    _beat(store, FIRST)
    if how == "left":
        store.leave("gpu-1", FIRST.machine)
    else:
        clock.pass_seconds(LIVE_SECONDS)
    _beat(store, SECOND)
    assert _worker(store).host.machine == SECOND.machine
    with pytest.raises(HostNameTaken):
        _beat(store, FIRST)


def test_a_worker_that_starts_again_on_its_machine_has_its_name_at_once(store: JobStore, clock: HeldClock) -> None:
    job_id = _orphaned(store, clock)
    _beat(store, FIRST)
    _beat(store, FIRST)
    assert store.find_orphans(host="gpu-1", machine=FIRST.machine) == [job_id]
    assert try_claim(store, job_id, host=FIRST) is not None


def test_a_refused_machine_that_leaves_does_not_sign_the_other_one_off(store: JobStore) -> None:
    _beat(store, FIRST)
    store.leave("gpu-1", SECOND.machine)
    assert not _worker(store).has_left
    store.leave("gpu-1", FIRST.machine)
    assert _worker(store).has_left


@pytest.mark.parametrize("other", [SECOND, MOVED], ids=["another machine", "another engine"])
def test_only_the_machine_and_the_engine_of_an_attempt_go_on_with_it(
    store: JobStore, clock: HeldClock, other: Host
) -> None:
    _beat(store, FIRST)
    job_id = _orphaned(store, clock)
    store.leave("gpu-1", FIRST.machine)
    _beat(store, other)
    assert store.find_orphans(host="gpu-1", machine=other.machine) == []
    assert try_claim(store, job_id, host=other) is None
    assert store.get(job_id).attempt.number == 1


def test_a_machine_whose_engine_is_away_waits_for_it_before_it_goes_on(store: JobStore, clock: HeldClock) -> None:
    _beat(store, FIRST)
    job_id = _orphaned(store, clock)
    _beat(store, NO_ENGINE)
    assert try_claim(store, job_id, host=NO_ENGINE) is None
    _beat(store, FIRST)
    assert try_claim(store, job_id, host=FIRST) is not None


def test_what_a_machine_finds_after_its_own_restart_goes_on(store: JobStore, clock: HeldClock) -> None:
    before, after = (replace(FIRST, machine=Machine(f"file:{boot}", "engine-a")) for boot in (1, 2))
    _beat(store, before)
    job_id = _orphaned(store, clock, by=before)
    store.leave("gpu-1")
    _beat(store, after)
    assert try_claim(store, job_id, host=after) is None
    assert not store.recognise(job_id, host=SECOND)
    assert store.recognise(job_id, host=after)
    assert store.find_orphans(host="gpu-1", machine=after.machine) == [job_id]
    assert try_claim(store, job_id, host=after) is not None


def test_what_another_worker_still_holds_is_not_recognised(store: JobStore) -> None:
    before, after = (replace(FIRST, machine=Machine(f"file:{boot}", "engine-a")) for boot in (1, 2))
    _beat(store, before)
    held = claim(store, submit(store), host=before)
    assert not store.recognise(held.job.id, host=after)
    assert not store.recognise("unknown", host=after)


def test_a_machine_that_has_lost_its_name_begins_nothing(store: JobStore, clock: HeldClock) -> None:
    _beat(store, FIRST)
    clock.pass_seconds(LIVE_SECONDS)
    _beat(store, SECOND)
    assert try_claim(store, submit(store), host=FIRST) is None


def test_what_an_older_worker_began_goes_on_under_the_next_one(store: JobStore, clock: HeldClock) -> None:
    _beat(store, OLDER)
    job_id = _orphaned(store, clock, by=OLDER)
    _beat(store, FIRST)
    assert store.find_orphans(host="gpu-1", machine=FIRST.machine) == [job_id]
    assert try_claim(store, job_id, host=FIRST) is not None


@pytest.mark.parametrize("other", [SECOND, MOVED], ids=["another machine", "another engine"])
def test_the_attempt_of_a_machine_whose_name_went_to_another_is_lost_after_as_long_as_any(
    store: JobStore, clock: HeldClock, other: Host
) -> None:
    _beats(store, clock, FIRST, WATCHER, seconds=LOST_SECONDS)
    job_id = _orphaned(store, clock)
    store.leave("gpu-1", FIRST.machine)
    _beats(store, clock, other, WATCHER, seconds=LOST_SECONDS - LEASE_SECONDS)
    assert store.find_lost(by="gpu-2", after_seconds=LOST_SECONDS) == []
    _beats(store, clock, other, WATCHER, seconds=LEASE_SECONDS)
    assert store.find_lost(by="gpu-2", after_seconds=LOST_SECONDS) == [job_id]


def test_a_machine_that_took_a_name_has_not_watched_while_it_was_the_others(store: JobStore, clock: HeldClock) -> None:
    silent = a_host("gpu-3")
    _beat(store, silent)
    job_id = submit(store)
    claim(store, job_id, host=silent, lease_seconds=LEASE_SECONDS)
    _beats(store, clock, FIRST, seconds=LOST_SECONDS)
    assert store.find_lost(by="gpu-1", after_seconds=LOST_SECONDS) == [job_id]
    store.leave("gpu-1", FIRST.machine)
    _beat(store, SECOND)
    assert store.find_lost(by="gpu-1", after_seconds=LOST_SECONDS) == []


def test_what_is_given_up_in_order_while_it_is_prepared_is_counted(store: JobStore) -> None:
    held = claim(store, submit(store))
    store.release(held)
    again = claim(store, held.job.id)
    store.started(again, runner="docker", container="c1")
    store.release(again)
    job = store.get(held.job.id)
    assert (job.state, job.attempt.releases) == (JobState.RUNNING, 1)
