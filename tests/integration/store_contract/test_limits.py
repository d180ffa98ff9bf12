"""How every job store keeps limits when it is asked for a claim: by key, in all, by slots, by GPU device, in order."""

from collections import Counter

import pytest

from shared.jobs.model import JobState
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import DOCKER_AWAY, FAILED, SUCCEEDED, a_host, claim, in_retry_wait, running, submit, try_claim
from tests.support.stores import MakeStore
from tests.support.threads import at_once
from tests.support.waiting import wait_until

GPUS = ("0", "1", "2", "3")
GPU_HOST = a_host(gpus=GPUS)
LONG_AGO = Limits(reserve_gpus_after_seconds=600)


def _refused(store: JobStore, job_id: str, *, host: Host) -> bool:
    """Whether the job cannot be claimed on this host, and stays as it was."""
    before = store.get(job_id)
    return try_claim(store, job_id, host=host) is None and store.get(job_id) == before


def _crowd(store: JobStore, jobs: list[str], hosts: list[Host], rounds: int = 3) -> list[Claim]:
    """Claims of many threads at once; each asks for each job on each host."""
    taken: list[Claim] = []
    for turn in range(rounds):
        wishes = [(jobs[(n + turn) % len(jobs)], hosts[n % len(hosts)]) for n in range(24)]
        got = at_once(24, lambda n, those=wishes: try_claim(store, those[n][0], host=those[n][1]))  # type: ignore[misc]
        taken += [one for one in got if one]
    return taken


def test_a_hosts_slots_are_counted_from_its_supervised_jobs(store: JobStore) -> None:
    host = a_host(slots=2)
    first, cancelling = claim(store, submit(store), host=host), claim(store, submit(store), host=host)
    store.cancel(cancelling.job.id, force=False)
    store.release(first)
    waiting = submit(store)
    assert _refused(store, waiting, host=host)
    assert try_claim(store, waiting, host=a_host("gpu-2", slots=1)) is not None
    store.finish(cancelling, FAILED)
    assert try_claim(store, submit(store), host=host) is not None


def test_a_crowd_never_gets_more_than_a_hosts_slots(store: JobStore) -> None:
    jobs = [submit(store) for _ in range(12)]
    hosts = [a_host("gpu-1", slots=3), a_host("gpu-2", slots=2)]
    taken = _crowd(store, jobs, hosts)
    assert Counter(one.attempt.host for one in taken) == {"gpu-1": 3, "gpu-2": 2}


def test_a_crowd_never_gets_more_than_the_total_limit(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=3))
    jobs = [submit(store) for _ in range(12)]
    taken = _crowd(store, jobs, [a_host(f"host-{number}") for number in range(8)])
    assert len(taken) == 3
    store.finish(taken[0], SUCCEEDED)
    again = _crowd(store, jobs, [a_host("host-1"), a_host("host-2")])
    assert len(again) == 1


def test_a_total_limit_counts_jobs_of_every_key_and_queue(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=1))
    holder = running(store, concurrency_key="a")
    waiting = submit(store, queue="other", concurrency_key="b")
    host = a_host("gpu-2", queues={"other"})
    assert _refused(store, waiting, host=host)
    store.finish(holder, SUCCEEDED)
    assert try_claim(store, waiting, host=host) is not None


def test_a_keys_limit_may_be_given_by_pattern(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=1, by_key=(("model:small-*", 3),)))
    for key, limit in (("model:small-1", 3), ("model:big", 1)):
        jobs = [submit(store, concurrency_key=key) for _ in range(5)]
        taken = _crowd(store, jobs, [a_host(f"host-{number}") for number in range(8)], rounds=8)
        assert len(taken) == limit


def test_jobs_of_one_key_and_queue_start_in_their_order(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=Limits(per_key=5), clock=clock)
    older = submit(store, concurrency_key="model:iris")
    clock.pass_seconds(1)
    newer = submit(store, concurrency_key="model:iris")
    urgent = submit(store, concurrency_key="model:iris", priority=9)
    elsewhere = submit(store, concurrency_key="model:iris", queue="gpu")
    host = a_host(queues={"default", "gpu"})
    assert _refused(store, older, host=host)
    assert _refused(store, newer, host=host)
    assert claim(store, elsewhere, host=host)
    assert claim(store, urgent, host=host)
    assert _refused(store, newer, host=host)
    assert claim(store, older, host=host)
    assert claim(store, newer, host=host)


def test_jobs_of_one_key_and_moment_start_in_an_order_too(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(per_key=9), clock=HeldClock())
    jobs = sorted(submit(store, concurrency_key="k") for _ in range(4))
    started: list[str] = []
    while len(started) < 4:
        got = [job_id for job_id in reversed(jobs) if job_id not in started and try_claim(store, job_id)]
        assert len(got) == 1
        started += got
    assert started == jobs


@pytest.mark.parametrize("leave", ["retry", "end", "cancel"])
def test_a_job_that_does_not_wait_any_more_lets_those_behind_it_pass(store: JobStore, leave: str) -> None:
    if leave == "retry":
        in_retry_wait(store, concurrency_key="k")
    elif leave == "end":
        store.fail_unsupervised(submit(store, concurrency_key="k"), DOCKER_AWAY)
    else:
        store.cancel(submit(store, concurrency_key="k"), force=False)
    assert try_claim(store, submit(store, concurrency_key="k")) is not None


def test_a_job_that_needs_more_gpus_does_not_hold_up_one_of_its_key_that_needs_fewer(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    submit(store, concurrency_key="k", gpus=4)
    clock.pass_seconds(1)
    assert try_claim(store, submit(store, concurrency_key="k")) is not None


def test_a_closed_host_starts_nothing_and_goes_on_with_what_it_has(store: JobStore) -> None:
    closed = a_host(closed_because=QueueCode.DISK_FULL)
    held = running(store)
    store.release(held)
    waiting = submit(store)
    assert _refused(store, waiting, host=closed)
    assert claim(store, held.job.id, host=closed).job.state is JobState.RUNNING
    assert try_claim(store, waiting, host=a_host("gpu-2")) is not None


def test_going_on_with_an_attempt_is_subject_to_no_limit(make_store: MakeStore) -> None:
    store = make_store(limits=Limits(total=2))
    jobs = [claim(store, submit(store, gpus=1), host=GPU_HOST) for _ in range(2)]
    for held in jobs:
        store.release(held)
    smaller = a_host(slots=1)
    again = [claim(store, held.job.id, host=smaller) for held in jobs]
    assert [one.attempt.gpu_ids for one in again] == [("0",), ("1",)]


def test_an_attempt_gets_devices_of_its_own_that_are_free_again_at_its_end(store: JobStore) -> None:
    first = claim(store, submit(store, gpus=1), host=GPU_HOST)
    second = claim(store, submit(store, gpus=2), host=GPU_HOST)
    third = claim(store, submit(store), host=GPU_HOST)
    assert [one.attempt.gpu_ids for one in (first, second, third)] == [("0",), ("1", "2"), ()]
    waiting = submit(store, gpus=2)
    assert _refused(store, waiting, host=GPU_HOST)
    store.release(first)  # its container may still run
    assert _refused(store, waiting, host=GPU_HOST)
    store.finish(second, SUCCEEDED)
    assert claim(store, waiting, host=GPU_HOST).attempt.gpu_ids == ("1", "2")
    assert store.get(first.job.id).attempts[0].gpu_ids == ("0",)


def test_a_device_of_one_host_is_not_one_of_another(store: JobStore) -> None:
    claim(store, submit(store, gpus=4), host=GPU_HOST)
    assert claim(store, submit(store, gpus=4), host=a_host("gpu-2", gpus=GPUS)).attempt.gpu_ids == GPUS


def test_a_host_without_enough_gpus_never_gets_the_job(store: JobStore) -> None:
    job_id = submit(store, gpus=2)
    assert _refused(store, job_id, host=a_host())
    assert _refused(store, job_id, host=a_host(gpus=("0",)))


def test_a_crowd_never_shares_a_gpu(store: JobStore) -> None:
    jobs = [submit(store, gpus=1 + number % 2) for number in range(12)]
    taken = _crowd(store, jobs, [GPU_HOST, a_host("gpu-2", gpus=GPUS)])
    devices = [(one.attempt.host, device) for one in taken for device in one.attempt.gpu_ids]
    assert len(devices) == len(set(devices))
    assert all(len(one.attempt.gpu_ids) == one.job.gpus for one in taken)
    assert len(devices) >= 6


def test_a_second_attempt_gets_its_devices_anew(store: JobStore) -> None:
    first = claim(store, submit(store, gpus=1), host=GPU_HOST)
    store.finish(first, type(FAILED)(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=0))
    claim(store, submit(store, gpus=1), host=GPU_HOST)
    wait_until(store.wake_retries)
    second = claim(store, first.job.id, host=GPU_HOST)
    assert [one.gpu_ids for one in second.job.attempts] == [("0",), ("1",)]


def _waits_for_four(store: JobStore, clock: HeldClock) -> str:
    """A job that needs all four GPUs, of which one is taken, and has waited for long."""
    store.beat(GPU_HOST, gap_seconds=60)
    claim(store, submit(store, gpus=1), host=GPU_HOST)
    big = submit(store, gpus=4)
    clock.pass_seconds(601)
    store.beat(GPU_HOST, gap_seconds=60)
    return big


def test_gpus_are_kept_for_a_job_that_has_waited_for_long(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=LONG_AGO, clock=clock)
    big = _waits_for_four(store, clock)
    assert _refused(store, submit(store, gpus=1), host=GPU_HOST)
    assert try_claim(store, submit(store), host=GPU_HOST) is not None
    assert try_claim(store, submit(store, gpus=1, priority=9), host=GPU_HOST) is not None
    store.cancel(big, force=False)
    assert try_claim(store, submit(store, gpus=1), host=GPU_HOST) is not None


def test_gpus_are_kept_until_the_big_job_has_them_also_when_they_are_free(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=LONG_AGO, clock=clock)
    holder = claim(store, submit(store, gpus=1), host=GPU_HOST)
    big = submit(store, gpus=4)
    clock.pass_seconds(601)
    small = submit(store, gpus=1)
    store.finish(holder, SUCCEEDED)
    assert _refused(store, small, host=GPU_HOST)
    assert claim(store, big, host=GPU_HOST).attempt.gpu_ids == GPUS


def test_nothing_is_kept_for_a_job_that_has_not_waited_for_long(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=Limits(reserve_gpus_after_seconds=602), clock=clock)
    _waits_for_four(store, clock)
    assert try_claim(store, submit(store, gpus=1), host=GPU_HOST) is not None


def test_gpus_are_kept_on_one_host_only(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=LONG_AGO, clock=clock)
    twin = a_host("gpu-0", gpus=GPUS)
    claim(store, submit(store, gpus=1), host=twin)
    _waits_for_four(store, clock)
    store.beat(twin, gap_seconds=60)
    assert try_claim(store, submit(store, gpus=1), host=GPU_HOST) is not None
    assert _refused(store, submit(store, gpus=1), host=twin)
    clock.pass_seconds(61)  # the twin has fallen silent
    store.beat(GPU_HOST, gap_seconds=60)
    assert _refused(store, submit(store, gpus=1), host=GPU_HOST)


def test_a_job_that_its_key_holds_back_has_nothing_kept_for_it(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=LONG_AGO, clock=clock)
    running(store, concurrency_key="model:iris")
    submit(store, gpus=4, concurrency_key="model:iris")
    claim(store, submit(store, gpus=1), host=GPU_HOST)
    clock.pass_seconds(601)
    assert try_claim(store, submit(store, gpus=1), host=GPU_HOST) is not None


def test_a_job_behind_another_of_its_key_has_nothing_kept_for_it(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(limits=LONG_AGO, clock=clock)
    submit(store, gpus=1, concurrency_key="model:iris")
    clock.pass_seconds(1)
    submit(store, gpus=4, concurrency_key="model:iris")
    claim(store, submit(store, gpus=1), host=GPU_HOST)
    clock.pass_seconds(601)
    assert try_claim(store, submit(store, gpus=1), host=GPU_HOST) is not None
