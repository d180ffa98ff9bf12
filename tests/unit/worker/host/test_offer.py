"""What a host offers: GPUs that nobody holds, and nothing new while its disk is full, on fakes."""

from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError
from shared.scheduling.hosts import QueueCode
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from tests.support.jobs import HOST, a_host
from worker.runners.seam import AttemptSpec, Handle


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return FakeWorker.new(tmp_path, retrain_gpus="a,b")


def leave_container(worker: FakeWorker, *gpu_ids: str) -> Handle:
    worker.runner.plan = Script(hangs=True)
    return worker.runner.start_or_attach(AttemptSpec("another job", 1, None, "true", Path(), gpu_ids=gpu_ids))


def test_no_gpu_is_offered_before_the_containers_were_looked_at(worker: FakeWorker) -> None:
    assert worker.here.now().gpus == ()
    worker.sweep.once(reconcile=True)
    assert worker.here.now().gpus == ("a", "b")


def test_a_host_says_by_its_labels_whether_it_has_gpus_as_soon_as_it_knows(tmp_path: Path) -> None:
    for gpus, found in (("a,b", "gpu"), ("none", "cpu")):
        worker = FakeWorker.new(tmp_path / found, retrain_gpus=gpus, worker_labels="vision,a100")
        assert worker.here.now().labels == ("a100", "vision")
        worker.sweep.once(reconcile=True)
        assert set(worker.here.now().labels) == {"a100", "vision", found}


@pytest.mark.parametrize(
    ("gpus", "slots", "offered"), [("none", None, 2), ("a", None, 2), ("a,b,c,d", None, 4), ("a,b,c,d", 3, 3)]
)
def test_without_a_number_of_slots_there_is_one_for_each_gpu_but_two_at_least(
    tmp_path: Path, gpus: str, slots: int | None, offered: int
) -> None:
    worker = FakeWorker.new(tmp_path, retrain_gpus=gpus, slots=slots)
    worker.here.look_around()
    assert (worker.here.slots, worker.here.now().slots, worker.here.now().gpus) == (offered, offered, ())


def test_a_host_whose_engine_is_away_at_the_start_finds_its_gpus_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = FakeWorker.new(tmp_path)

    def refuse() -> tuple[str, ...]:
        raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "The engine does not answer.")

    with monkeypatch.context() as engine:
        engine.setattr(worker.runner, "find_gpus", refuse)
        worker.here.look_around()
    assert (worker.here.slots, worker.here.now().labels) == (2, ())
    worker.sweep.once(reconcile=True)
    assert worker.here.now().labels == ("cpu",)


def test_a_drained_host_runs_nothing_new_and_runs_it_when_it_is_undrained(worker: FakeWorker) -> None:
    worker.heartbeat.beat()
    worker.store.drain(worker.here.name, reason="")
    job_id = worker.submit()
    for following in (worker, worker.restarted()):
        following.run(job_id)
        following.turn(reconcile=True)
        assert worker.store.get(job_id).attempts == ()
    worker.store.undrain(worker.here.name)
    worker.run(job_id)
    assert worker.store.get(job_id).state.is_terminal


def test_a_gpu_of_a_container_that_cannot_be_removed_is_not_offered(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = leave_container(worker, "a")

    def refuse(_handle: Handle) -> None:
        raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "The engine does not answer.")

    with monkeypatch.context() as engine:
        engine.setattr(worker.runner, "remove", refuse)
        worker.sweep.reconcile()
    assert worker.here.now().gpus == ("b",)

    worker.sweep.reconcile()
    assert worker.host.removed == [handle.name]
    assert worker.here.now().gpus == ("a", "b")


def test_a_host_takes_no_new_attempt_while_its_disk_is_nearly_full(worker: FakeWorker) -> None:
    free = {"bytes": 10}
    object.__setattr__(worker.disk, "low_bytes", 100)
    object.__setattr__(worker.disk, "free", lambda _folder: free["bytes"])
    job_id = worker.submit()
    worker.sweep.once(reconcile=False)
    worker.heartbeat.beat()

    assert worker.run(job_id) == worker.store.get(job_id)
    place = worker.store.find_queue_position(job_id)
    assert place is not None
    assert place.code is QueueCode.DISK_FULL

    free["bytes"] = 1000
    worker.sweep.once(reconcile=False)
    worker.heartbeat.beat()
    worker.run(job_id)
    assert worker.store.get(job_id).state.is_terminal


def test_a_host_that_was_silent_for_a_week_is_forgotten_by_the_others(worker: FakeWorker) -> None:
    worker.store.beat(a_host("gone"), gap_seconds=60)
    for days, known in ((6, ["gone", HOST]), (7, [HOST])):
        worker.clock.shift_seconds = days * 86400
        worker.turn(reconcile=True)
        assert [each.host.name for each in worker.store.list_workers()] == known


def test_ended_jobs_are_deleted_only_where_the_operator_wants_that(tmp_path: Path) -> None:
    keeping, deleting = FakeWorker.new(tmp_path), FakeWorker.new(tmp_path, retention_days=1)
    for worker, kept in ((keeping, 2), (deleting, 1)):
        ended, waiting = worker.submit(), worker.submit()
        worker.run(ended)
        worker.clock.shift_seconds += 2 * 86400
        worker.turn(reconcile=True)
        assert sum(job_id in worker.store._records for job_id in (ended, waiting)) == kept
