"""LOG_FORMAT=json in real processes: each line is one JSON object, and says whose job, attempt and request it is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.fernet import Fernet

from tests.support.log_lines import objects
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ROOT, running_api
from tests.support.servers.git_repository import bare_repository
from tests.support.servers.mlflow_server import MlflowServer, started_mlflow_server
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.servers.worker import worker_process
from tests.support.waiting import wait_until

PROJECT = """\
name: tiny
entry_points:
  main:
    command: "echo request $RETRAIN_REQUEST_ID"
"""
SECRETS = {"API_TOKENS": "api-s3cret", "MLFLOW_TRACKING_PASSWORD": "mlflow-s3cret", "MLFLOW_TRACKING_USERNAME": "robot"}
GIT_TOKEN = "git-s3cret"
EVERY_LINE = {"timestamp", "level", "logger", "message"}
OF_AN_ATTEMPT = {
    "worker.source.checkout",
    "worker.attempt.supervision",
    "worker.attempt.finishing",
    "worker.source.mirror",
}
BEGIN = "from shared import logs; import logging, sys, threading, warnings; logs.configure('INFO', 'json')\n"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with started_mlflow_server(tmp_path_factory.mktemp("mlflow-of-json-logs")) as server:
        yield server


@pytest.fixture
def git_uri(tmp_path: Path) -> str:
    return bare_repository(tmp_path / "tiny.git", {"MLproject": PROJECT}).uri


def lines_of(text: str) -> list[dict[str, Any]]:
    found = objects(text)
    assert found
    assert all(line.keys() >= EVERY_LINE for line in found)
    return found


def about(lines: list[dict[str, Any]], job_id: str) -> list[dict[str, Any]]:
    """The lines that speak of the job at all, each of which must name it as its own."""
    found = [line for line in lines if job_id in str(line)]
    assert found
    assert {line.get("job_id") for line in found} == {job_id}, found
    return found


def test_a_request_is_followed_from_the_api_to_the_training_in_lines_of_json(
    tmp_path: Path, valkey: Valkey, mlflow_server: MlflowServer, git_uri: str
) -> None:
    shared = {"LOG_FORMAT": "json", "SECRET_KEY": Fernet.generate_key().decode(), **SECRETS}
    headers = {"X-Request-Id": "nightly.7", "Authorization": f"Bearer {SECRETS['API_TOKENS']}"}
    body = {
        "experiment_name": "tiny",
        "git_uri": git_uri,
        "dataset_repo": f"https://robot:{GIT_TOKEN}@data.example/iris.git",
    }
    with worker_process(tmp_path, redis_url=valkey.url, tracking_uri=mlflow_server.url, **shared) as worker:
        with running_api(tmp_path, GIT_SCHEMES="file", REDIS_URL=valkey.url, **shared) as api:
            answer = requests.post(f"{api.url}/retrain", json=body, headers=headers, timeout=30)
            assert answer.status_code == 202, answer.text
            job = worker.ended(worker.store.get(answer.json()["id"]))
            shown = requests.get(f"{api.url}/jobs/{job.id}", headers=headers, timeout=30).json()
        wait_until(lambda: worker.leftovers() == [], timeout_seconds=5, what="nothing left behind")
        worker.stop()

    assert shown["request_id"] == "nightly.7"
    assert worker.output(job).endswith("\nrequest nightly.7\n")  # behind what is said of the tracking password
    run = requests.get(f"{mlflow_server.url}/api/2.0/mlflow/runs/get", params={"run_id": job.run_id}, timeout=30)
    assert {"key": "retrain.request_id", "value": "nightly.7"} in run.json()["run"]["data"]["tags"]

    [accepted] = about(lines_of(api.log), job.id)
    assert (accepted["message"], accepted["request_id"]) == ("job accepted", "nightly.7")
    lines = lines_of(worker.log)
    of_job = about(lines, job.id)
    assert {"running", "attempt ended"} <= {line["message"] for line in of_job}
    assert {(line.get("attempt"), line.get("request_id")) for line in of_job} == {(1, "nightly.7")}
    assert [line for line in lines if line["logger"] in OF_AN_ATTEMPT and line not in of_job] == []
    assert {"celery.apps.worker", "celery.worker.consumer.connection"} <= {line["logger"] for line in lines}
    assert "[config]" not in worker.log  # Celery's banner
    assert "api.http.serving" in {line["logger"] for line in lines_of(api.log)}
    for secret in (*SECRETS.values(), GIT_TOKEN, shared["SECRET_KEY"]):
        assert secret == "robot" or secret not in api.log + worker.log


def test_what_keeps_the_api_from_starting_is_a_line_of_json(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as failed, running_api(tmp_path, LOG_FORMAT="json", API_HOST="0.0.0.0"):
        pass
    [line] = lines_of(str(failed.value).partition("\n")[0])
    assert "API_TOKENS" in line["message"]


def test_flower_writes_lines_of_json(tmp_path: Path, valkey: Valkey) -> None:
    port, log = free_port(), tmp_path / "flower.log"
    variables = {"LOG_FORMAT": "json", "REDIS_URL": valkey.url, "FLOWER_URL": f"http://127.0.0.1:{port}"}
    command = [sys.executable, "-m", "deploy.flower_dashboard"]
    environment = {"PYTHONPATH": str(ROOT), "FLOWER_BASIC_AUTH": "admin:flower-s3cret", **variables}
    with log.open("wb") as output:
        flower = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: "Visit me" in log.read_text(), what="a ready Flower")
        requests.get(f"http://127.0.0.1:{port}/tasks", timeout=30)
    finally:
        flower.terminate()
        flower.wait(30)
    assert {line["logger"] for line in lines_of(log.read_text())} >= {"flower.command"}
    assert "s3cret" not in log.read_text()


def test_what_keeps_the_schema_from_its_upgrade_is_a_line_of_json(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").mkdir()
    command = [sys.executable, "-m", "shared.sql.schema"]
    environment = {"PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, b"")
    assert lines_of(done.stderr.decode())


def printed(program: str, tmp_path: Path) -> list[dict[str, Any]]:
    """What such a program prints on standard error."""
    command = [sys.executable, "-c", BEGIN + program]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False, timeout=60
    )
    assert done.stdout == b""
    return lines_of(done.stderr.decode())


@pytest.mark.parametrize(
    "program",
    [
        "raise ValueError('no column age')",
        "thread = threading.Thread(target=int, args=('no column age',)); thread.start(); thread.join()",
        "class Odd:\n    def __del__(self): raise ValueError('no column age')\nOdd()",
    ],
)
def test_an_exception_that_nobody_caught_is_one_object(tmp_path: Path, program: str) -> None:
    [line] = printed(program, tmp_path)
    assert (line["level"], line["message"]) == ("CRITICAL", "exception that nobody caught")
    assert "no column age" in line["exception"].splitlines()[-1]


def test_a_thread_that_exits_says_nothing(tmp_path: Path) -> None:
    program = "thread = threading.Thread(target=sys.exit); thread.start(); thread.join(); logging.info('after')"
    [line] = printed(program, tmp_path)
    assert line["message"] == "after"


def test_a_warning_is_one_object(tmp_path: Path) -> None:
    [line] = printed("warnings.warn('old\\nways')", tmp_path)
    assert (line["level"], line["logger"]) == ("WARNING", "py.warnings")
    assert "old\nways" in line["message"]


def test_what_is_printed_past_logging_is_one_object_a_line(tmp_path: Path) -> None:
    program = "print('one', 1, file=sys.stderr); sys.stderr.write('two\\nthree')"
    assert [line["message"] for line in printed(program, tmp_path)] == ["one 1", "two", "three"]


def test_a_library_with_a_handler_of_its_own_writes_through_ours(tmp_path: Path) -> None:
    program = "import mlflow; logs.configure('INFO', 'json'); logging.getLogger('mlflow.tracking').warning('away')"
    [line] = printed(program, tmp_path)
    assert (line["logger"], line["message"]) == ("mlflow.tracking", "away")
