"""What every job store does for a host that a person has drained: nothing new starts there, and what runs goes on."""

import pytest

from shared.errors import HostNotFound
from shared.jobs.model import JobState
from shared.jobs.store import JobStore
from shared.scheduling.hosts import Drain, QueueCode
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import SUCCEEDED, a_host, claim, running, submit, try_claim
from tests.support.stores import MakeStore
from tests.support.threads import at_once

GPUS = ("0", "1")


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def drained(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store whose host gpu-1 is drained; gpu-2 is not."""
    store = make_store(clock=clock, limits=Limits(per_key=100))
    for name in ("gpu-1", "gpu-2"):
        store.beat(a_host(name), gap_seconds=60)
    store.drain("gpu-1", reason="new disks")
    return store


def _unsent(store: JobStore, **fields: object) -> str:
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


def _sendable(store: JobStore, host: str) -> list[str]:
    return [job.id for job in store.take_sendable(a_host(host), resend_after_seconds=60)]


def test_a_drained_host_claims_nothing_and_another_one_does(drained: JobStore) -> None:
    job_id = submit(drained)
    assert try_claim(drained, job_id, host="gpu-1") is None
    assert drained.get(job_id).state is JobState.QUEUED
    assert claim(drained, job_id, host="gpu-2").attempt.host == "gpu-2"


def test_nothing_is_sent_for_a_drained_host(drained: JobStore) -> None:
    job_id = _unsent(drained)
    assert _sendable(drained, "gpu-1") == []
    assert _sendable(drained, "gpu-2") == [job_id]


def test_a_claim_that_a_drained_host_was_refused_lets_another_one_send_the_job_at_once(drained: JobStore) -> None:
    job_id = submit(drained)
    assert _sendable(drained, "gpu-2") == []
    assert try_claim(drained, job_id, host="gpu-1") is None
    assert _sendable(drained, "gpu-2") == [job_id]


def test_what_runs_on_a_drained_host_goes_on_under_its_next_worker_too(make_store: MakeStore) -> None:
    store = make_store()
    store.beat(a_host("gpu-1"), gap_seconds=60)
    held = running(store)
    store.drain("gpu-1", reason="")
    store.append_log(held, b"epoch 1\n", source_offset=8)
    store.release(held)
    following = claim(store, held.job.id, host="gpu-1")
    assert following.attempt.number == 1
    assert store.finish(following, SUCCEEDED).state is JobState.SUCCEEDED


def test_a_drained_host_stays_so_when_its_worker_leaves_and_another_one_starts(drained: JobStore) -> None:
    drained.leave("gpu-1")
    drained.beat(a_host("gpu-1"), gap_seconds=60)
    assert try_claim(drained, submit(drained), host="gpu-1") is None


def test_an_undrained_host_claims_again_and_undraining_twice_is_the_same(drained: JobStore) -> None:
    for _ in range(2):
        worker = drained.undrain("gpu-1")
        assert (worker.host.drain, worker.host.closed_because) == (None, None)
    assert _sendable(drained, "gpu-1") == []
    assert claim(drained, submit(drained), host="gpu-1").attempt.host == "gpu-1"


def test_the_hosts_worker_is_shown_with_since_when_why_and_what_still_runs(
    make_store: MakeStore, clock: HeldClock
) -> None:
    store = make_store(clock=clock)
    store.beat(a_host("gpu-1", closed_because=QueueCode.DISK_FULL), gap_seconds=60)
    held, began_at = running(store), clock()
    worker = store.drain("gpu-1", reason="new disks")
    assert worker.host.drain == Drain(began_at, "new disks")
    assert worker.host.closed_because is QueueCode.DRAINED
    assert [each.id for each in worker.running] == [held.job.id]
    assert list(store.list_workers()) == [worker]


def test_draining_again_keeps_since_when_and_takes_another_reason(drained: JobStore, clock: HeldClock) -> None:
    began_at = clock()
    clock.pass_seconds(10)
    assert drained.drain("gpu-1", reason="").host.drain == Drain(began_at, "new disks")
    assert drained.drain("gpu-1", reason="new GPUs").host.drain == Drain(began_at, "new GPUs")
    drained.undrain("gpu-1")
    assert drained.drain("gpu-1", reason="").host.drain == Drain(clock(), "")


def test_a_host_that_never_gave_a_sign_of_life_is_not_found(drained: JobStore) -> None:
    with pytest.raises(HostNotFound, match="gpu-9"):
        drained.drain("gpu-9", reason="")
    with pytest.raises(HostNotFound, match="gpu-9"):
        drained.undrain("gpu-9")
    assert [each.host.name for each in drained.list_workers()] == ["gpu-1", "gpu-2"]


def test_a_job_that_fits_a_drained_host_only_says_that_it_waits_for_that(drained: JobStore) -> None:
    drained.beat(a_host("gpu-1", gpus=GPUS), gap_seconds=60)
    place = drained.find_queue_position(submit(drained, gpus=2))
    assert place is not None
    assert place.code is QueueCode.DRAINED
    assert place.message.startswith("host gpu-1 is drained (new disks): ")
    assert "retrain workers undrain gpu-1" in place.message


def test_a_job_that_fits_elsewhere_too_does_not_wait_for_a_drained_host(drained: JobStore) -> None:
    place = drained.find_queue_position(submit(drained))
    assert place is not None
    assert (place.code, "gpu-2" in place.message) == (QueueCode.NEXT, True)


def test_no_gpus_of_a_drained_host_are_kept_for_a_job_that_waits_long(make_store: MakeStore, clock: HeldClock) -> None:
    store = make_store(clock=clock, limits=Limits(reserve_gpus_after_seconds=10))
    large, small = a_host("large", gpus=("0", "1", "2")), a_host("small", gpus=GPUS)
    for host in (large, small):
        store.beat(host, gap_seconds=60)
    store.drain("large", reason="")
    claim(store, submit(store, gpus=1), host=small)
    submit(store, gpus=2)
    clock.pass_seconds(20)
    assert try_claim(store, submit(store, gpus=1), host=small) is None
    store.undrain("large")
    claim(store, submit(store, gpus=1), host=small)


def test_no_attempt_begins_after_a_drain_however_many_claim_meanwhile(make_store: MakeStore) -> None:
    store = make_store()
    store.beat(a_host("gpu-1"), gap_seconds=60)
    ids = [submit(store) for _ in range(20)]
    at_drain: list[int] = []

    def drain_or_claim(number: int) -> None:
        if number == 10:
            at_drain.append(len(store.drain("gpu-1", reason="").running))
        else:
            try_claim(store, ids[number], host="gpu-1")

    at_once(20, drain_or_claim)
    assert at_drain == [len(store.running_on("gpu-1"))]
