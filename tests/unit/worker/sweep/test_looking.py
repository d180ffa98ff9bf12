"""Looks at jobs that wait: what can never be trained is told then, and everything else is left to the start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Code, InfrastructureError, UserError
from shared.jobs.model import JobState
from tests.fakes.worker import TOKEN, FakeWorker
from tests.support.jobs import claim
from worker.runners.docker.inside import in_containers
from worker.sweep.looking import FRESH_SECONDS

PROJECT = """\
name: iris
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      rate: float
    command: "python train.py {alpha} {rate}"
"""


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    worker = FakeWorker.new(tmp_path)
    worker.source.project = PROJECT
    return worker


def look(worker: FakeWorker) -> None:
    worker.clock.shift_seconds += 10
    while worker.looking.once():
        pass


@pytest.mark.parametrize(
    ("request_", "code", "told"),
    [
        ({"parameters": {"rate": 1, "alpha": "abc"}}, Code.INVALID_PARAMETER, "alpha"),
        ({}, Code.INVALID_PARAMETER, "needs a value for rate"),
        ({"entry_point": "fit"}, Code.INVALID_PROJECT, "no entry point 'fit'"),
    ],
)
def test_what_the_project_cannot_be_trained_with_ends_the_job_while_it_waits(
    worker: FakeWorker, request_: dict[str, Any], code: Code, told: str
) -> None:
    job_id = worker.submit(**request_)
    look(worker)
    job = worker.store.get(job_id)
    assert (job.state, job.reason and job.reason.code, job.attempts) == (JobState.FAILED, code, ())
    assert job.reason
    assert told in job.reason.message
    assert "at commit " in job.reason.message
    assert [each.id for each in worker.reported] == [job_id]


def test_a_wrong_address_is_told_too_without_its_token(worker: FakeWorker) -> None:
    job_id = worker.submit(token=TOKEN)
    worker.source.errors.append(UserError(Code.GIT_AUTH_FAILED, f"no repository, said {TOKEN}."))
    look(worker)
    reason = worker.store.get(job_id).reason
    assert reason
    assert reason.code is Code.GIT_AUTH_FAILED
    assert TOKEN not in reason.message
    assert worker.source.requests[0].credentials


def test_a_job_that_can_be_trained_goes_on_waiting_and_is_looked_at_once(worker: FakeWorker) -> None:
    job_id = worker.submit(parameters={"rate": 1})
    look(worker)
    look(worker)
    assert worker.store.get(job_id).state is JobState.QUEUED
    assert len(worker.source.requests) == 1
    assert claim(worker.store, job_id)


def test_what_was_read_for_one_job_is_told_of_the_next_for_a_while(worker: FakeWorker) -> None:
    worker.looking = replace(worker.looking, clock=lambda: worker.clock.shift_seconds)
    for _ in range(3):
        worker.submit(parameters={"rate": 1})
    other = worker.submit(parameters={"rate": 1}, token=TOKEN)  # who may not read it must not be told either
    look(worker)
    assert [bool(each.credentials) for each in worker.source.requests] == [False, True]
    worker.clock.shift_seconds += FRESH_SECONDS
    worker.submit()
    look(worker)
    assert len(worker.source.requests) == 3
    assert worker.store.get(other).state is JobState.QUEUED


def test_what_was_mended_since_it_was_read_is_not_held_against_the_next_job(worker: FakeWorker) -> None:
    worker.source.project = "name: iris\nentry_points: {}\n"
    broken = worker.submit(parameters={"rate": 1})
    look(worker)
    assert worker.store.get(broken).state is JobState.FAILED
    worker.source.project = PROJECT
    mended = worker.submit(parameters={"rate": 1})
    look(worker)
    assert worker.store.get(mended).state is JobState.QUEUED


@pytest.mark.parametrize(
    "error", [InfrastructureError(Code.GIT_UNREACHABLE, "away"), InfrastructureError(Code.DISK_FULL, "full")]
)
def test_what_may_pass_is_left_to_the_start(worker: FakeWorker, error: InfrastructureError) -> None:
    job_id = worker.submit()
    worker.source.errors.append(error)
    look(worker)
    assert worker.store.get(job_id).state is JobState.QUEUED


def test_a_job_that_is_tried_again_after_such_an_error_is_left_to_its_attempts(worker: FakeWorker) -> None:
    job_id = worker.submit(retry={"on": ["user_error"]})
    look(worker)
    assert worker.store.get(job_id).state is JobState.QUEUED
    assert worker.source.requests == []


def test_a_job_that_has_begun_meanwhile_is_not_ended(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = worker.submit()
    resolve = worker.source.resolve
    monkeypatch.setattr(worker.source, "resolve", lambda request: claim(worker.store, job_id) and resolve(request))
    look(worker)
    assert worker.store.get(job_id).state is JobState.STARTING


def test_a_worker_that_stops_ends_its_look(worker: FakeWorker) -> None:
    worker.stopping.set()
    job_id = worker.submit()
    worker.source.before = lambda interruption: interruption.check()
    look(worker)
    assert worker.store.get(job_id).state is JobState.QUEUED


def test_a_project_of_packages_is_judged_as_the_runner_does(worker: FakeWorker) -> None:
    worker.source.project = f"python_env: env/python.yaml\n{PROJECT}"
    fine, wrong = worker.submit(parameters={"rate": 1}), worker.submit()
    look(worker)
    assert [worker.store.get(each).state for each in (fine, wrong)] == [JobState.QUEUED, JobState.FAILED]
    worker.runner.inside = in_containers(worker.settings)
    without_image = worker.submit(parameters={"rate": 1})
    look(worker)
    reason = worker.store.get(without_image).reason
    assert reason
    assert "docker_env.image" in reason.message


def test_a_file_that_only_a_work_tree_has_is_taken_for_there(worker: FakeWorker) -> None:
    worker.source.project = f"python_env: ../python.yaml\n{PROJECT}"
    fine, wrong = worker.submit(parameters={"rate": 1}), worker.submit()
    look(worker)
    assert [worker.store.get(each).state for each in (fine, wrong)] == [JobState.QUEUED, JobState.FAILED]
