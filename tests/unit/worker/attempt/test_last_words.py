"""What the end of an output says: why a training failed, what its user can change, and which step failed unseen."""

import time
from pathlib import Path

import pytest
from mlflow.tracking import fluent

from shared.errors import Code, FailureType
from shared.jobs.model import JobState
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from worker.attempt.finishing import LAST_OUTPUT_BYTES
from worker.attempt.last_words import failed_step, hint, telling_line
from worker.runners.launch import STEP_FAILED
from worker.runners.seam import Exit

RUN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
OTHER_EXPERIMENT = (
    f"mlflow.exceptions.MlflowException: Cannot start run with ID {RUN} because active experiment ID does not match "
    "environment run ID. Make sure --experiment-name or --experiment-id matches experiment set with set_experiment(), "
    "or just use command-line arguments\n"
)
REFUSED = (
    "mlflow.exceptions.MlflowException: API request to http://localhost:5000/api/2.0/mlflow/runs/get failed with "
    "exception HTTPConnectionPool(host='localhost', port=5000): Max retries exceeded with url: "
    "/api/2.0/mlflow/runs/get "
    "(Caused by NewConnectionError('[Errno 111] Connection refused'))\n"
)
WENT_ON = f"epoch 1\n{STEP_FAILED} 3, and the command went on\n"


def test_mlflow_still_says_what_the_hint_is_for() -> None:
    source = Path(fluent.__file__).read_text()
    assert "does not match environment run ID" in source.replace('"\n                "', "")


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        (OTHER_EXPERIMENT, "Take mlflow.set_experiment(...) out of the training"),
        (REFUSED, "mlflow.set_tracking_uri(...), take that out"),
        (f"mlflow.exceptions.MlflowException: Run '{RUN}' not found\n", "mlflow.set_tracking_uri(...), take that out"),
        (f"mlflow.exceptions.MlflowException: Run with id={RUN} not found\n", "set_tracking_uri"),
        ("Traceback:\nModuleNotFoundError: No module named 'lifelines'\n", "a package must be in the image"),
    ],
)
def test_a_hint_says_what_to_change(output: str, advice: str) -> None:
    assert advice in hint(f"epoch 1\n{output}".encode())


@pytest.mark.parametrize("output", ["", "ValueError: no column 'age'\n", "Run 3 of 5\n", "requests to /api: refused\n"])
def test_without_anything_to_say_there_is_no_hint(output: str) -> None:
    assert hint(output.encode()) == ""


def test_the_telling_line_is_the_last_error_or_else_the_last_line() -> None:
    assert telling_line(b"ValueError: a\nKeyError: b\nepoch 3\n\n") == "KeyError: b"
    assert telling_line(b"epoch 3\n  \n") == "epoch 3"
    assert telling_line(b"") == ""


def test_a_step_that_failed_is_told_with_its_exit_code_and_what_to_do() -> None:
    told = failed_step(WENT_ON.encode())
    assert "exit code 3" in told
    assert "set -euo pipefail" in told
    assert failed_step(b"epoch 1\n") == failed_step(f"he said: {STEP_FAILED} 3\n".encode()) == ""


def test_a_failure_ends_with_its_hint(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path)
    worker.runner.plan = Script(outputs=[OTHER_EXPERIMENT.encode()], exit=Exit(exit_code=1))
    job = worker.run(worker.submit())
    assert job is not None
    assert job.reason is not None
    assert job.reason.message.endswith("Or send that name as experiment_name.")


def test_a_success_with_a_step_that_failed_is_a_success_whose_reason_says_so(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path)
    worker.runner.plan = Script(outputs=[WENT_ON.encode()])
    job = worker.run(worker.submit())
    assert job is not None
    assert job.reason is not None
    assert (job.state, job.attempt.number, job.attempt.failure) == (JobState.SUCCEEDED, 1, None)
    assert (job.reason.code, job.reason.type) == (Code.STEP_FAILED, FailureType.USER_ERROR)
    assert [run.status for run in worker.tracking.runs.values()] == ["FINISHED"]


def test_a_success_without_one_has_no_reason(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path)
    worker.runner.plan = Script(outputs=[b"epoch 1\n"])
    job = worker.run(worker.submit())
    assert job is not None
    assert (job.state, job.reason) == (JobState.SUCCEEDED, None)


@pytest.mark.parametrize("words", [b"/api/2.0/mlflow ", b"/api/2.0/mlflow", b"Run with id=", b"ImportError: ", b"a."])
def test_output_of_any_words_is_read_without_delay(words: bytes) -> None:
    output, started = (words * LAST_OUTPUT_BYTES)[:LAST_OUTPUT_BYTES], time.monotonic()
    assert (hint(output), failed_step(output)) == ("", "")
    telling_line(output)
    assert time.monotonic() - started < 1
