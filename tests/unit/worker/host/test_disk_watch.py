"""Which training is stopped for the disk, when, and what its job says then."""

from pathlib import Path

import pytest

from shared.errors import Code, FailureType
from shared.jobs.model import JobState
from tests.fakes.runner import FakeRunner, Script
from tests.fakes.worker import FakeWorker
from tests.support.supervising import code_of, ended, name_of
from worker.host.disk_watch import GONE_SECONDS, MEASURE_EVERY_LOOKS, DiskWatch, Room, Verdicts, room_of
from worker.runners.seam import AttemptSpec, Handle

LOW, STOP = 2000, 1000


class Scene:
    """Two trainings on a host with a disk of so many bytes."""

    def __init__(self, worker: FakeWorker, **settings: int) -> None:
        self.settings = worker.settings.model_copy(update={"disk_low_bytes": LOW, **settings})
        self.runner, self.verdicts = FakeRunner(Script(hangs=True), host=worker.host), Verdicts()
        self.room, self.now = Room(total=100_000, free=STOP), 0.0
        self.handles = [self.start(name, size) for name, size in (("small", 5000), ("large", 40_000))]
        self.watch = DiskWatch(
            self.settings, self.runner, worker.here, self.verdicts, lambda _folder: self.room, lambda: self.now
        )

    def start(self, name: str, size: int) -> Handle:
        handle = self.runner.start_or_attach(AttemptSpec(name, 1, None, "", Path()))
        self.runner.host.sizes[handle.name] = size
        return handle

    @property
    def stopped(self) -> list[str]:
        return self.runner.host.stopped


@pytest.fixture
def scene(worker: FakeWorker) -> Scene:
    return Scene(worker)


def test_while_there_is_room_nothing_is_stopped(scene: Scene) -> None:
    scene.watch.look()
    assert scene.stopped == []


def test_on_a_disk_that_is_nearly_full_the_training_that_uses_most_is_stopped_and_no_other(scene: Scene) -> None:
    scene.room = scene.room._replace(free=STOP - 1)
    for _ in range(3):
        scene.watch.look()
    assert scene.stopped == ["retrain-large-1"]
    verdict = scene.verdicts.take("retrain-large-1")
    assert verdict is not None
    assert (verdict.code, verdict.type, verdict.facts["bytes"]) == (Code.DISK_FULL, FailureType.INFRASTRUCTURE, 40_000)


def test_the_next_one_follows_where_the_room_did_not_come_back(scene: Scene) -> None:
    scene.room = scene.room._replace(free=0)
    scene.watch.look()
    scene.now += GONE_SECONDS
    scene.watch.look()
    assert scene.stopped == ["retrain-large-1", "retrain-small-1"]


def test_training_that_uses_little_is_not_blamed_for_what_others_wrote(scene: Scene) -> None:
    scene.room = scene.room._replace(free=0)
    scene.runner.host.sizes = {handle.name: STOP // 10 - 1 for handle in scene.handles}
    scene.watch.look()
    assert scene.stopped == []


def test_what_uses_more_than_one_attempt_may_is_stopped_with_room_left(worker: FakeWorker) -> None:
    scene = Scene(worker, attempt_disk_bytes=30_000)
    scene.room = scene.room._replace(free=50_000)
    scene.runner.host.sizes["retrain-large-1"] = 30_000
    scene.watch.look()
    scene.runner.host.sizes["retrain-large-1"] = 30_001
    for _ in range(MEASURE_EVERY_LOOKS):
        scene.watch.look()
    assert scene.stopped == ["retrain-large-1"]
    verdict = scene.verdicts.take("retrain-large-1")
    assert verdict is not None
    assert verdict.type is FailureType.USER_ERROR


def test_by_default_an_attempt_may_have_the_disk_s_share(scene: Scene) -> None:
    scene.runner.host.sizes["retrain-large-1"] = 50_001
    scene.watch.look()
    assert scene.stopped == ["retrain-large-1"]


def test_a_job_that_was_stopped_for_the_disk_ends_with_that(worker: FakeWorker) -> None:
    scene = Scene(worker)
    job_id = worker.submit(retry={"max_attempts": 1})
    worker.runner.plan = Script(outputs=[b"epoch 1\n"], hangs=True)

    def fill(poll: int) -> None:
        if poll == 3:
            scene.watch.verdicts = worker.supervisor.verdicts
            worker.host.sizes[name_of(job_id)] = 45_000
            scene.room = scene.room._replace(free=0)
            scene.watch.look()

    worker.runner.before_poll = fill
    job = ended(worker.run(job_id))
    assert (job.state, code_of(job)) == (JobState.FAILED, Code.DISK_FULL)
    assert job.reason is not None
    assert "0 MB free" in job.reason.message
    assert worker.log(job_id) == b"epoch 1\n"


def test_the_room_of_a_folder_that_is_still_to_be_made_is_known(tmp_path: Path) -> None:
    assert 0 < room_of(tmp_path / "not" / "yet").free <= room_of(tmp_path).total
