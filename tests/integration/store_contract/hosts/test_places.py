"""What every job store says of a job that waits: its position, what for, and what a person may do about it."""

from typing import Any

import pytest

from shared.errors import JobNotFound
from shared.jobs.store import JobStore
from shared.scheduling.hosts import QueueCode
from shared.scheduling.limits import Limits
from shared.scheduling.queue_position import QueuePosition
from tests.support.clocks import HeldClock
from tests.support.jobs import SUCCEEDED, a_host, claim, claimed, ended, in_retry_wait, running, submit, try_claim
from tests.support.stores import MakeStore

GPUS = ("0", "1")


def _place(store: JobStore, job_id: str) -> QueuePosition:
    found = store.find_queue_position(job_id)
    assert found is not None, store.get(job_id)
    return found


def _beat(store: JobStore, name: str = "gpu-1", **fields: Any) -> None:
    store.beat(a_host(name, **fields), gap_seconds=60)


@pytest.mark.parametrize("begin", [claimed, running])
def test_a_job_that_is_supervised_waits_for_nothing(store: JobStore, begin: Any) -> None:
    assert store.find_queue_position(begin(store).job.id) is None


@pytest.mark.parametrize("begin", [ended, in_retry_wait])
def test_a_job_that_has_ended_or_backs_off_has_no_place(store: JobStore, begin: Any) -> None:
    assert store.find_queue_position(begin(store)) is None


def test_an_unknown_job_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobNotFound):
        store.find_queue_position("no-such-job")


def test_with_nothing_in_its_way_a_job_is_next(store: JobStore) -> None:
    _beat(store)
    place = _place(store, submit(store))
    assert (place.position, place.code, place.blocking) == (1, QueueCode.NEXT, ())
    assert "gpu-1" in place.message


def test_the_position_counts_the_queued_jobs_of_its_queue_by_priority_and_age(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    running(store)
    submit(store, queue="other", priority=9)
    older = submit(store)
    clock.pass_seconds(1)
    newer, urgent = submit(store), submit(store, priority=9)
    assert [_place(store, job_id).position for job_id in (urgent, older, newer)] == [1, 2, 3]


def test_a_job_of_a_key_at_its_limit_waits_for_those_that_run(store: JobStore) -> None:
    _beat(store)
    holder = running(store, concurrency_key="model:iris").job.id
    place = _place(store, submit(store, concurrency_key="model:iris"))
    assert (place.code, place.blocking) == (QueueCode.KEY_LIMIT, (holder,))
    same = "of the same concurrency_key 'model:iris' (limit 1)"
    assert place.message == f"waits for job {holder[:8]}… {same}"


def test_a_job_behind_another_of_its_key_waits_for_that(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=Limits(per_key=2), clock=clock)
    first = submit(store, concurrency_key="model:iris")
    clock.pass_seconds(1)
    place = _place(store, submit(store, concurrency_key="model:iris"))
    assert (place.position, place.code, place.blocking) == (2, QueueCode.KEY_LIMIT, (first,))
    assert "goes before it" in place.message


def test_at_the_total_limit_a_job_waits_for_any_that_runs(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=2))
    holders = {running(store, queue=queue).job.id for queue in ("default", "default")}
    place = _place(store, submit(store))
    assert (place.code, set(place.blocking)) == (QueueCode.TOTAL_LIMIT, holders)
    assert "LIMIT_TOTAL=2" in place.message


def test_without_a_live_worker_the_message_says_how_to_start_one(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    job_id = submit(store, queue="gpu")
    _beat(store, queues={"default"})
    said = "no live worker serves the queue 'gpu'; start one with WORKER_QUEUES=gpu"
    assert _place(store, job_id) == QueuePosition(1, QueueCode.NO_WORKER, said)
    _beat(store, "gpu-2", queues={"gpu"})
    assert _place(store, job_id).code is QueueCode.NEXT
    clock.pass_seconds(61)
    assert _place(store, job_id).code is QueueCode.NO_WORKER
    _beat(store, "gpu-2", queues={"gpu"})
    store.leave("gpu-2")
    assert _place(store, job_id).code is QueueCode.NO_WORKER


def test_a_job_that_fits_no_host_says_what_the_largest_has(store: JobStore) -> None:
    _beat(store, gpus=("0",))
    place = _place(store, submit(store, gpus=2))
    assert place.code is QueueCode.NO_HOST_FITS
    assert place.message.startswith("needs 2 GPUs; the largest live host of the queue 'default' has 1.")


def test_a_job_waits_for_slots_that_others_hold(store: JobStore) -> None:
    _beat(store, slots=2)
    holders = {running(store).job.id, running(store).job.id}
    place = _place(store, submit(store))
    assert (place.code, set(place.blocking)) == (QueueCode.SLOTS, holders)
    assert "2 slots of host gpu-1" in place.message


def test_a_job_waits_for_gpus_that_others_hold(store: JobStore) -> None:
    host = a_host(gpus=GPUS)
    _beat(store, gpus=GPUS)
    holder = claim(store, submit(store, gpus=1), host=host).job.id
    claim(store, submit(store), host=host)
    place = _place(store, submit(store, gpus=2))
    assert (place.code, place.blocking) == (QueueCode.GPUS, (holder,))
    assert place.message == "needs 2 GPUs; 1 of 2 on host gpu-1 are free"


def test_a_job_waits_for_one_that_gpus_are_kept_for(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    claim(store, submit(store, gpus=1), host=a_host(gpus=GPUS))
    big = submit(store, gpus=2)
    clock.pass_seconds(601)
    _beat(store, gpus=GPUS)
    place = _place(store, submit(store, gpus=1))
    assert (place.code, place.blocking) == (QueueCode.GPUS_RESERVED, (big,))
    assert _place(store, big).code is QueueCode.GPUS


def test_a_full_disk_is_told_with_its_host(store: JobStore) -> None:
    _beat(store, closed_because=QueueCode.DISK_FULL)
    place = _place(store, submit(store))
    assert place.code is QueueCode.DISK_FULL
    assert "host gpu-1 is nearly full" in place.message


def test_of_several_hosts_the_most_hopeful_is_told(store: JobStore) -> None:
    job_id = submit(store)
    _beat(store, "a", closed_because=QueueCode.DISK_FULL)
    assert _place(store, job_id).code is QueueCode.DISK_FULL
    _beat(store, "b", slots=1)
    holder = claim(store, submit(store), host="b").job.id
    assert _place(store, job_id).blocking == (holder,)
    _beat(store, "c")
    assert _place(store, job_id).code is QueueCode.NEXT


def test_what_holds_for_all_hosts_is_told_before_what_a_host_lacks(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=1))
    running(store, concurrency_key="k")
    assert _place(store, submit(store, concurrency_key="k")).code is QueueCode.KEY_LIMIT
    assert _place(store, submit(store)).code is QueueCode.TOTAL_LIMIT


def test_at_most_twenty_blocking_jobs_are_named(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=25))
    for _ in range(25):
        claimed(store, concurrency_key="k")
    place = _place(store, submit(store, concurrency_key="k"))
    assert len(set(place.blocking)) == 20
    assert "one of 25 jobs" in place.message


def test_what_a_place_says_is_what_a_claim_does(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=4))
    host = a_host(slots=3, gpus=GPUS)
    store.beat(host, gap_seconds=60)
    jobs = [submit(store, gpus=number % 3, concurrency_key=f"k{number % 5}") for number in range(12)]
    for turn in range(36):
        job_id = jobs[turn % 12]
        place = store.find_queue_position(job_id)
        if place is None:
            continue
        held = try_claim(store, job_id, host=host)
        assert (held is not None) is (place.code is QueueCode.NEXT), place
        if held and turn % 2:
            store.finish(held, SUCCEEDED)
