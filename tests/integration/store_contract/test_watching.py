"""What every job store shows to whoever watches: each host's worker, and how much waits, runs and has ended."""

import pytest

from shared.alerts.model import AlertEvent, Alerting
from shared.jobs.model import JobState
from shared.jobs.statistics import Backlog, WorkerState
from shared.jobs.store import JobStore
from shared.jobs.triggers import Kind, NewTrigger, Occurrence, Outcome, TriggerState
from shared.scheduling.hosts import QueueCode
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.jobs import a_host, claim, ended, in_retry_wait, running, submit
from tests.support.stores import MakeStore

LOST_SECONDS = 900.0


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def watched(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store that goes by ``clock``, and tells Discord of ends."""
    alerting = Alerting(frozenset({AlertEvent.SUCCEEDED}), frozenset({"discord"}))
    return make_store(clock=clock, limits=Limits(per_key=100), alerting=alerting)


def _states(store: JobStore) -> dict[str, WorkerState]:
    return {each.host.name: each.state(lost_after_seconds=LOST_SECONDS) for each in store.list_workers()}


def test_a_new_store_knows_of_nothing(watched: JobStore) -> None:
    statistics = watched.get_statistics()
    assert (dict(statistics.jobs), statistics.queues, statistics.alerts, list(statistics.workers)) == ({}, {}, {}, [])
    assert list(watched.list_workers()) == []


def test_a_worker_is_shown_as_it_last_described_itself(watched: JobStore, clock: HeldClock) -> None:
    host = a_host("gpu-2", slots=3, queues=frozenset({"a", "b"}), gpus=("0", "1"), closed_because=QueueCode.DISK_FULL)
    for each in (host, a_host("gpu-1")):
        watched.beat(each, gap_seconds=60)
    clock.pass_seconds(5)
    first, second = watched.list_workers()
    assert (first.host.name, second.host) == ("gpu-1", host)
    assert (second.silent_seconds, (clock() - second.seen_at).total_seconds()) == (5, 5)
    assert not second.has_left


def test_a_worker_that_falls_silent_is_lost_in_the_end_and_one_that_leaves_has_left(
    watched: JobStore, clock: HeldClock
) -> None:
    for name in ("gpu-1", "gpu-2"):
        watched.beat(a_host(name), gap_seconds=60)
    watched.leave("gpu-2")
    assert _states(watched) == {"gpu-1": WorkerState.ALIVE, "gpu-2": WorkerState.LEFT}
    clock.pass_seconds(61)
    assert _states(watched)["gpu-1"] is WorkerState.SILENT
    clock.pass_seconds(LOST_SECONDS)
    assert _states(watched) == {"gpu-1": WorkerState.LOST, "gpu-2": WorkerState.LEFT}
    watched.beat(a_host("gpu-1"), gap_seconds=60)
    assert _states(watched)["gpu-1"] is WorkerState.ALIVE


def test_a_worker_is_shown_with_the_jobs_and_gpus_of_its_host(watched: JobStore, clock: HeldClock) -> None:
    host = a_host("gpu-1", gpus=("0", "1", "2"))
    watched.beat(host, gap_seconds=60)
    jobs = []
    for gpus in (2, 0):
        jobs.append(claim(watched, submit(watched, gpus=gpus), host=host).job.id)
        clock.pass_seconds(1)
    running(watched)  # on a host of the same name as the first one's default, whose worker it is too
    claim(watched, submit(watched), host="gpu-9")
    watched.cancel(jobs[1], force=False)
    (worker,) = watched.list_workers()
    assert [job.id for job in worker.running][:2] == jobs
    assert len(worker.running) == 3
    assert worker.used_gpus == ("0", "1")


def test_jobs_are_counted_by_state_and_those_that_wait_by_queue(watched: JobStore, clock: HeldClock) -> None:
    ended(watched)
    in_retry_wait(watched)
    running(watched)
    submit(watched, queue="slow")
    clock.pass_seconds(30)
    submit(watched)
    submit(watched, queue="slow")
    clock.pass_seconds(10)
    statistics = watched.get_statistics()
    assert dict(statistics.jobs) == {
        JobState.SUCCEEDED: 1,
        JobState.RETRY_WAIT: 1,
        JobState.RUNNING: 1,
        JobState.QUEUED: 3,
    }
    assert statistics.queues == {"default": Backlog(1, 10), "slow": Backlog(2, 40)}


def test_alerts_are_counted_while_they_wait(watched: JobStore, clock: HeldClock) -> None:
    ended(watched)
    clock.pass_seconds(30)
    ended(watched)
    clock.pass_seconds(10)
    assert watched.get_statistics().alerts == {"discord": Backlog(2, 40)}
    for _ in range(2):
        taken = watched.take_alert(["discord"], lease_seconds=60)
        assert taken is not None
        watched.alert_sent(taken)
    assert watched.get_statistics().alerts == {}


def test_figures_show_the_same_workers_as_the_list(watched: JobStore) -> None:
    watched.beat(a_host("gpu-1"), gap_seconds=60)
    running(watched)
    assert list(watched.get_statistics().workers) == list(watched.list_workers())
    assert len(watched.list_workers()[0].running) == 1


def test_a_clock_that_was_set_back_makes_no_age_negative(watched: JobStore, clock: HeldClock) -> None:
    watched.beat(a_host("gpu-1"), gap_seconds=60)
    submit(watched)
    clock.pass_seconds(-100)
    assert watched.get_statistics().queues == {"default": Backlog(1, 0)}
    assert watched.list_workers()[0].silent_seconds == 0


def test_triggers_are_counted_and_those_that_nobody_looks_at_stand_out(watched: JobStore, clock: HeldClock) -> None:
    for name in ("a", "b", "c"):
        watched.create_trigger(NewTrigger(name=name, template={}, when={"signal": {}}, policy={}, kind=Kind.SIGNAL))
    watched.pause_trigger("a", reason="")
    watched.report("b", Occurrence("1", clock()))
    clock.pass_seconds(301)
    watched.report("a", Occurrence("1", clock()))
    counts = watched.get_statistics().triggers
    assert dict(counts.by_state) == {TriggerState.ACTIVE: 2, TriggerState.PAUSED: 1}
    assert (counts.overdue, dict(counts.lately)) == (2, {Outcome.WAITING: 1, Outcome.SKIPPED: 1})
    clock.pass_seconds(3600)
    assert dict(watched.get_statistics().triggers.lately) == {}
    watched.pause_triggers(reason="night")
    assert watched.get_statistics().triggers.overdue == 0
