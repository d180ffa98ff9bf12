"""The token for the guard before MLflow: who gets one, that its log does not show it, and what the guard refused."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from api.representation import whole_job
from shared.jobs.model import JobState
from shared.links import Links
from shared.secrets.attempt_tokens import verify
from shared.secrets.redactor import Redactor
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from tests.unit.worker.attempt.preparing import DockerWorker, started, train_as
from worker.runners.seam import Exit
from worker.tracking.client import RunResult
from worker.tracking.training_tags import refused_of

REFUSED = ({"call": "POST registered-models/alias", "object": "iris@champion", "count": 2},)
GUARD = {"tracking_guard_uri": "http://mlflow:5007", "mlflow_tracking_uri": "https://elsewhere"}


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return DockerWorker.new(tmp_path, project_env_allowlist="REGION", **GUARD)


def token_in(content: bytes) -> str:
    found = re.search(rb"^export MLFLOW_TRACKING_TOKEN=(\S+)$", content, re.MULTILINE)
    assert found
    return found[1].decode()


def test_a_training_behind_the_guard_has_a_token_of_its_attempt_in_a_private_file_only(worker: FakeWorker) -> None:
    taken, spec = started(worker, model_name="iris")
    token = token_in(spec.private_files["exports"])
    grant = verify(token, worker.settings.attempt_key(), now=time.time())
    assert (grant.job_id, grant.attempt, grant.model_name) == (taken.job.id, 1, "iris")
    assert (grant.run_id, grant.experiment_id) == (spec.env["RETRAIN_RUN_ID"], spec.env["MLFLOW_EXPERIMENT_ID"])
    assert grant.expires_at > taken.attempt.started_at.timestamp() + worker.settings.run_timeout_seconds
    assert token not in f"{spec.env} {spec.command} {spec.prelude}"


def test_a_training_that_goes_past_the_guard_has_no_token(worker: FakeWorker) -> None:
    train_as("process", worker)
    _, spec = started(worker)
    assert b"MLFLOW_TRACKING_TOKEN" not in spec.private_files["exports"]


def test_an_image_s_own_user_and_password_do_not_take_the_token_s_place(worker: FakeWorker) -> None:
    _, spec = started(worker)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        assert f"export {name}=''\n".encode() in spec.private_files["exports"]


def test_a_printed_token_is_masked(worker: FakeWorker) -> None:
    worker.runner.plan = lambda spec: Script(outputs=[f"it is {token_in(spec.private_files['exports'])}\n".encode()])
    job_id = worker.submit()
    worker.run(job_id)
    assert worker.log(job_id) == b"it is ***\n"


def test_a_worker_that_takes_over_knows_the_token_too(worker: FakeWorker) -> None:
    taken, spec = started(worker)
    redactor = worker.restarted().preparation.redactor_of(taken, worker.store.get(taken.job.id), Redactor())
    assert redactor.text(token_in(spec.private_files["exports"])) == "***"


@pytest.mark.parametrize(("exit_code", "state"), [(0, JobState.SUCCEEDED), (1, JobState.FAILED)])
def test_a_job_shows_what_the_guard_refused_however_it_ended(
    worker: FakeWorker, exit_code: int, state: JobState
) -> None:
    worker.tracking.found = replace(RunResult({}, None, ()), refused=REFUSED)
    worker.runner.plan = Script(exit=Exit(exit_code))
    job = worker.run(worker.submit())
    assert job is not None
    assert job.state is state
    shown = whole_job(job, Links(None, "", None), None)
    assert [each.model_dump() for each in shown.refused] == list(REFUSED)


@pytest.mark.parametrize("text", ["", "x", "{}", "7", '[{"call": 1}]', '[["a"]]', "[" * 10_000, '[{"count": "x"}]'])
def test_a_list_that_cannot_be_read_is_none(text: str) -> None:
    assert refused_of({"retrain.refused": text}) == ()


def test_a_list_is_cut() -> None:
    listed = ",".join('{"call": "a\\u0000", "object": "%s", "count": 1}' % ("b" * 300) for _ in range(30))
    found = refused_of({"retrain.refused": f"[{listed}]"})
    assert len(found) == 20
    assert (found[0]["call"], len(found[0]["object"])) == ("a\N{REPLACEMENT CHARACTER}", 200)
