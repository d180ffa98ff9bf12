"""What every job store does for a job that asks for a host, or for hosts with labels."""

import pytest

from shared.jobs.store import JobStore
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits
from shared.scheduling.queue_position import QueuePosition
from tests.support.clocks import HeldClock
from tests.support.jobs import a_host, claim, running, submit, try_claim
from tests.support.stores import MakeStore

A100 = a_host("gpu-1", labels=("a100", "gpu"), gpus=("0", "1"))
PLAIN = a_host("cpu-1", labels=("cpu",))
HOSTS = (A100, PLAIN)


@pytest.fixture
def hosts(store: JobStore) -> JobStore:
    """A store that has heard of both."""
    for host in HOSTS:
        store.beat(host, gap_seconds=60)
    return store


def _place(store: JobStore, **fields: object) -> QueuePosition:
    found = store.find_queue_position(submit(store, **fields))
    assert found is not None
    return found


def _sendable(store: JobStore, host: Host) -> list[str]:
    return [job.id for job in store.take_sendable(host, resend_after_seconds=60)]


def _unsent(store: JobStore, **fields: object) -> str:
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ({}, {"gpu-1", "cpu-1"}),
        ({"wanted_host": "cpu-1"}, {"cpu-1"}),
        ({"wanted_labels": ("gpu",)}, {"gpu-1"}),
        ({"wanted_labels": ("a100", "gpu")}, {"gpu-1"}),
        ({"wanted_labels": ("a100", "cpu")}, set()),
        ({"wanted_host": "cpu-1", "wanted_labels": ("gpu",)}, set()),
        ({"wanted_host": "elsewhere"}, set()),
    ],
)
def test_a_job_is_sent_and_claimed_only_where_it_asks_to_run(
    hosts: JobStore, wanted: dict[str, object], there: set[str]
) -> None:
    for host in HOSTS:
        job_id = _unsent(hosts, **wanted)
        assert (_sendable(hosts, host) == [job_id]) is (host.name in there)
        assert (try_claim(hosts, job_id, host=host) is not None) is (host.name in there)
        hosts.cancel(job_id, force=True)


def test_a_host_is_sent_what_fits_it_however_much_waits_for_others(
    hosts: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.sql.sweeping.PAGE", 10)
    monkeypatch.setattr("shared.sql.sweeping.PAGES", 2)  # else it takes 5,000 jobs to see that they are left out
    for number in range(30):
        _unsent(hosts, wanted_host="elsewhere", priority=9)
        _unsent(hosts, wanted_labels=("tpu",) if number % 2 else ("a100", "tpu"), priority=8)
    mine = _unsent(hosts, wanted_labels=("gpu",))
    assert _sendable(hosts, A100) == [mine]


def test_what_a_job_asks_for_is_in_its_record(store: JobStore) -> None:
    job = store.get(submit(store, wanted_host="gpu-1", wanted_labels=("a100", "gpu")))
    assert (job.wanted_host, job.wanted_labels) == ("gpu-1", ("a100", "gpu"))
    plain = store.get(submit(store))
    assert (plain.wanted_host, plain.wanted_labels) == (None, ())


def test_a_workers_labels_are_shown(hosts: JobStore) -> None:
    assert {each.host.name: each.host.labels for each in hosts.list_workers()} == {
        "gpu-1": ("a100", "gpu"),
        "cpu-1": ("cpu",),
    }


def test_a_job_that_asks_for_a_host_without_a_live_worker_says_so(hosts: JobStore) -> None:
    place = _place(hosts, wanted_host="gpu-9")
    assert place.code is QueueCode.NO_WORKER
    assert place.message.startswith("no live worker on the host gpu-9 (resources.host) serves the queue 'default'")


def test_a_job_that_asks_for_labels_that_no_host_has_says_which_are_missing(hosts: JobStore) -> None:
    place = _place(hosts, wanted_labels=("a100", "gpu", "infiniband"))
    assert place.code is QueueCode.NO_HOST_FITS
    assert "needs a host with the labels a100, gpu, infiniband" in place.message
    assert "gpu-1 comes nearest, without the label infiniband. See WORKER_LABELS" in place.message


def test_of_the_hosts_with_its_labels_a_job_may_find_none_with_enough_gpus(hosts: JobStore) -> None:
    place = _place(hosts, wanted_labels=("cpu",), gpus=1)
    assert place.code is QueueCode.NO_HOST_FITS
    assert "needs 1 GPU; the largest live host of the queue 'default' that it may go to has 0" in place.message


def test_a_job_waits_for_the_host_that_it_asks_for_though_another_one_is_free(store: JobStore) -> None:
    for name in ("gpu-1", "gpu-2"):
        store.beat(a_host(name, slots=1), gap_seconds=60)
    holder = running(store).job.id
    place = _place(store, wanted_host="gpu-1")
    assert (place.code, place.blocking) == (QueueCode.SLOTS, (holder,))


def test_a_job_that_is_bound_to_a_host_holds_up_no_other_one_of_its_key(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    for fields in ({"wanted_host": "gpu-9"}, {"wanted_labels": ("tpu",)}):
        submit(store, concurrency_key="model:iris", **fields)
    clock.pass_seconds(1)
    free = submit(store, concurrency_key="model:iris")
    claim(store, free, host="gpu-1")


def test_jobs_of_a_key_that_ask_for_the_same_start_in_their_order(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock, limits=Limits(per_key=1))
    wanted = {"wanted_host": "gpu-1", "wanted_labels": ("a100",), "concurrency_key": "model:iris"}
    first = submit(store, **wanted)
    clock.pass_seconds(1)
    second = submit(store, **wanted)
    assert try_claim(store, second, host=A100) is None
    claim(store, first, host=A100)


def test_gpus_are_kept_on_a_host_that_the_job_may_run_on(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock, limits=Limits(reserve_gpus_after_seconds=10))
    large, small = a_host("large", gpus=("0", "1", "2", "3")), a_host("small", gpus=("0", "1"))
    for host in (large, small):
        store.beat(host, gap_seconds=60)
    for host in (large, small):
        claim(store, submit(store, gpus=1), host=host)
    submit(store, gpus=2, wanted_host="small")
    clock.pass_seconds(20)
    assert try_claim(store, submit(store, gpus=1), host=small) is None
    claim(store, submit(store, gpus=1), host=large)
