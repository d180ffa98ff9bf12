"""A host that sent no heartbeat for too long: its jobs go on elsewhere, and it is fenced out, on fakes."""

from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError, LeaseLost
from shared.jobs.model import JobState
from shared.jobs.records import Claim
from shared.secrets.redactor import Redactor
from tests.fakes.runner import FakeHost, Script
from tests.fakes.worker import FakeWorker
from worker.attempt.finishing import failure
from worker.attempt_name import attempt_name
from worker.credentials.keys import Keys

LOST_AFTER_SECONDS = 60


class TwoHosts:
    """Two workers with one store; the second one watches."""

    def __init__(self, folder: Path, **options: object) -> None:
        usual = {"host_lost_after_seconds": LOST_AFTER_SECONDS, **options}
        self.first = FakeWorker.new(folder / "first", worker_host="gpu-1", **usual)
        self.second = self.first.restarted(
            folder=folder / "second", host=FakeHost(), options={"worker_host": "gpu-2", **usual}
        )
        self.clock = self.first.clock

    def train_on_first(self) -> Claim:
        """A job that trains on the first host, whose worker dies then."""
        job_id = self.first.submit()
        self.first.turn(reconcile=True)
        self.first.runner.plan = Script(outputs=[b"epoch 1\n"], hangs=True)
        claim = self.first.store.claim(job_id, host=self.first.here.now(), lease_seconds=3)
        assert claim is not None
        handle = self.first.preparation.start(claim, Keys())
        self.first.store.started(claim, runner="fake", container=handle.id)
        return claim

    def watch(self, seconds: float, *, first_too: bool = False) -> None:
        """Time passes while the second host sweeps, every ten seconds."""
        for _ in range(int(seconds / 10)):
            self.clock.shift_seconds += 10
            if first_too:
                self.first.turn(reconcile=False)
            self.second.turn(reconcile=False)


@pytest.fixture
def hosts(tmp_path: Path) -> TwoHosts:
    return TwoHosts(tmp_path)


def test_its_job_trains_on_another_host_as_a_new_attempt(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.watch(LOST_AFTER_SECONDS + 30)

    job = hosts.second.run(claim.job.id)

    assert job is not None
    assert job.state is JobState.SUCCEEDED
    assert [attempt.host for attempt in job.attempts] == ["gpu-1", "gpu-2"]
    assert job.attempts[0].reason is not None
    assert job.attempts[0].reason.code is Code.HOST_LOST
    assert hosts.first.tracking.runs[f"run-{job.id}-1"].status == "FAILED"
    assert hosts.first.tracking.runs[f"run-{job.id}-1"].is_fenced


def test_it_keeps_its_job_while_it_gives_signs_of_life(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.watch(3 * LOST_AFTER_SECONDS, first_too=True)

    assert hosts.first.store.get(claim.job.id).state is JobState.RUNNING


def test_nobody_is_lost_when_all_were_silent_together(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.watch(2 * LOST_AFTER_SECONDS, first_too=True)

    hosts.clock.shift_seconds += 10 * LOST_AFTER_SECONDS  # the store was away, or its clock jumped
    hosts.watch(30)

    assert hosts.first.store.get(claim.job.id).state is JobState.RUNNING


def test_when_it_is_back_it_can_write_nothing_and_removes_its_container(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.watch(LOST_AFTER_SECONDS + 30)
    hosts.second.run(claim.job.id)
    hosts.first.tracking.runs[f"run-{claim.job.id}-1"].status = "FINISHED"  # as its training saw it

    with pytest.raises(LeaseLost):
        hosts.first.store.append_log(claim, b"late", source_offset=4)
    hosts.first.turn(reconcile=True)

    assert hosts.first.host.removed == [attempt_name(claim.job)]
    assert hosts.first.tracking.runs[f"run-{claim.job.id}-1"].status == "FAILED"
    assert hosts.first.store.get(claim.job.id).state is JobState.SUCCEEDED


def test_a_supervisor_that_lost_the_job_removes_the_container_at_once(hosts: TwoHosts) -> None:
    job_id = hosts.first.submit()
    hosts.first.runner.plan = Script(hangs=True)

    def lose(number: int) -> None:
        if number == 2:
            hosts.clock.shift_seconds += 10
            hosts.watch(LOST_AFTER_SECONDS + 60)

    hosts.first.runner.before_poll = lose
    hosts.second.turn(reconcile=False)

    assert hosts.first.run(job_id) is None
    assert hosts.first.host.removed == [f"retrain-{job_id}-1"]


def test_a_tracking_server_that_is_away_puts_the_end_off(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.first.tracking.down = True
    hosts.watch(2 * LOST_AFTER_SECONDS)
    assert hosts.first.store.get(claim.job.id).state is JobState.RUNNING

    hosts.first.tracking.down = False
    hosts.watch(60)
    assert hosts.first.store.get(claim.job.id).state in (JobState.RETRY_WAIT, JobState.QUEUED)


def test_a_cancelled_job_of_a_lost_host_ends_as_cancelled(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.first.store.cancel(claim.job.id, force=False)
    hosts.watch(LOST_AFTER_SECONDS + 30)

    assert hosts.first.store.get(claim.job.id).state is JobState.CANCELLED
    assert hosts.first.tracking.runs[f"run-{claim.job.id}-1"].status == "KILLED"


def test_a_stale_worker_does_not_end_the_run_of_the_attempt_after_its_own(hosts: TwoHosts) -> None:
    claim = hosts.train_on_first()
    hosts.watch(LOST_AFTER_SECONDS + 30)
    hosts.second.run(claim.job.id)
    gone = failure(InfrastructureError(Code.CONTAINER_LOST, "The container is gone."))

    with pytest.raises(LeaseLost):
        hosts.first.finishing.finish(claim, gone, Redactor.of(()))

    assert hosts.first.tracking.runs[f"run-{claim.job.id}-2"].status == "FINISHED"
