"""The real worker process with real Valkey, SQLite, MLflow and git: what it promises, and what it survives."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import Code, FailureType
from shared.jobs.model import Job, JobState
from tests.support.alerting.discord import DiscordServer
from tests.support.servers.git_repository import RepositoryOnServer, bare_repository
from tests.support.servers.mlflow_server import MlflowServer, started_mlflow_server
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.servers.worker import LEASE_SECONDS, WorkerProcess, worker_process
from tests.support.waiting import wait_until
from worker.host.offer import LEAST_SLOTS

PROJECT = """\
name: tiny
entry_points:
  main:
    command: "echo trained"
  fails:
    command: "echo 'no column age'; exit 3"
  hangs:
    command: "echo started; sleep 300"
  waits:
    parameters: {gate: string}
    command: "i=0; until [ -e {gate} ]; do i=$((i+1)); echo line $i; sleep 0.05; done; echo done"
"""
BORROWER = """\
docker_env: {image: unused, environment: [LENT]}
entry_points: {main: {command: "echo $LENT"}}
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with started_mlflow_server(tmp_path_factory.mktemp("mlflow-of-worker")) as server:
        yield server


@pytest.fixture(scope="module")
def worker(
    tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, mlflow_server: MlflowServer
) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("worker")
    (folder / ".env").write_text("PROJECT_ENV_ALLOWLIST=LENT\nLENT='from the file'\nSLOTS=1\n")
    with worker_process(folder, redis_url=valkey.url, tracking_uri=mlflow_server.url, SLOTS="4") as started:
        yield started


@pytest.fixture
def own_worker(tmp_path: Path, valkey: Valkey, mlflow_server: MlflowServer) -> Iterator[WorkerProcess]:
    """A worker that the test may end; its messages are not the other one's."""
    redis_url = valkey.url.removesuffix("/0") + "/1"
    with worker_process(tmp_path / "own", redis_url=redis_url, tracking_uri=mlflow_server.url) as started:
        yield started
    with valkey.client() as client:
        client.execute_command("SELECT", 1)
        client.flushdb()


@pytest.fixture
def discord() -> Iterator[DiscordServer]:
    server = DiscordServer(clock=time.monotonic)
    yield server
    server.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> RepositoryOnServer:
    files = {"MLproject": PROJECT, "borrower/MLproject": BORROWER}
    return bare_repository(tmp_path_factory.mktemp("project") / "tiny.git", files)


@pytest.fixture
def git_uri(repository: RepositoryOnServer) -> str:
    return repository.uri


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The training of the entry point `waits` ends when this file is there."""
    return tmp_path / "gate"


def submit_waiting(worker: WorkerProcess, git_uri: str, gate: Path) -> Job:
    return worker.submit(git_uri=git_uri, entry_point="waits", parameters={"gate": str(gate)})


def is_whole(output: str) -> bool:
    """Every line is there, once."""
    lines = output.splitlines()
    return lines == [*(f"line {number}" for number in range(1, len(lines))), "done"]


def test_a_job_that_is_sent_ends_succeeded_and_celery_agrees(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri))

    assert (job.state, job.attempt.exit_code, worker.output(job)) == (JobState.SUCCEEDED, 0, "trained\n")
    result = worker.result(job)
    assert result.state == "SUCCESS"
    assert result.get()["run_id"] == job.run_id
    wait_until(lambda: worker.leftovers() == [], timeout_seconds=5, what="nothing left behind")


def test_a_variable_that_only_the_env_file_has_is_lent_to_projects(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri, MLproject_location="borrower"))

    assert worker.output(job) == "***\n"  # it was there: what is lent is masked in the log


def test_a_project_that_fails_is_not_tried_again_and_celery_says_why(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri, entry_point="fails"))

    assert job.reason is not None
    assert (job.state, job.reason.code, len(job.attempts)) == (JobState.FAILED, Code.NONZERO_EXIT, 1)
    result = worker.result(job)
    assert result.state == "FAILURE"
    assert str(result.result) == "NONZERO_EXIT: Training ended with exit code 3. Its last output: no column age"


def test_a_missing_ref_names_the_branches_that_exist(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri, commit_hash="mian"))

    assert job.reason is not None
    assert (job.reason.code, job.run_id) == (Code.REF_NOT_FOUND, None)
    assert "'main'" in job.reason.message


def test_a_training_that_takes_too_long_is_stopped(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri, entry_point="hangs", timeouts={"run_seconds": 0.5}))

    assert job.reason is not None
    assert (job.reason.code, job.reason.type) == (Code.RUN_TIMEOUT, FailureType.TIMEOUT)
    assert worker.output(job).startswith("started\n")
    wait_until(lambda: worker.leftovers() == [], timeout_seconds=5, what="nothing left behind")


def test_a_job_in_a_queue_that_nobody_serves_fails_when_its_time_is_over(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri, queue="nobody", timeouts={"queue_seconds": 0.5}))

    assert job.reason is not None
    assert (job.reason.code, job.attempts) == (Code.QUEUE_TIMEOUT, ())
    assert worker.result(job).state == "FAILURE"


def test_a_job_whose_message_was_lost_runs(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.ended(worker.submit(git_uri=git_uri, send=False))

    assert job.state is JobState.SUCCEEDED


def test_a_message_that_comes_three_times_makes_one_attempt(worker: WorkerProcess, git_uri: str) -> None:
    job = worker.submit(git_uri=git_uri)
    worker.queue.send(job)
    worker.queue.send(job)

    job = worker.ended(job)
    worker.queue.send(job)
    worker.ended(worker.submit(git_uri=git_uri))  # after the last message

    assert len(worker.store.get(job.id).attempts) == 1
    assert [each.to_state for each in worker.store.get(job.id).transitions] == [
        *(JobState.QUEUED, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED)
    ]
    assert worker.result(job).state == "SUCCESS"


def test_a_training_that_was_lost_is_done_again_at_the_same_commit(
    worker: WorkerProcess, repository: RepositoryOnServer, git_uri: str, gate: Path
) -> None:
    job = submit_waiting(worker, git_uri, gate)
    worker.training(job).kill()
    repository.commit({"MLproject": PROJECT, "README.md": "a later commit"})
    wait_until(lambda: worker.in_state(job, JobState.RUNNING, attempt=2), what="a second attempt")
    gate.touch()

    job = worker.ended(job)

    [first, second] = job.attempts
    assert first.reason is not None
    assert (first.reason.code, second.reason) == (Code.CONTAINER_LOST, None)
    assert job.commit_sha != repository.git("rev-parse", "main").strip()
    assert first.run_id != second.run_id


def test_redis_restarts_while_a_job_trains(worker: WorkerProcess, valkey: Valkey, git_uri: str, gate: Path) -> None:
    job = submit_waiting(worker, git_uri, gate)
    worker.training(job)
    valkey.stop()
    valkey.start()
    gate.touch()

    job = worker.ended(job)

    assert (job.state, len(job.attempts)) == (JobState.SUCCEEDED, 1)
    assert is_whole(worker.output(job))
    assert worker.ended(worker.submit(git_uri=git_uri)).state is JobState.SUCCEEDED
    assert worker.result(job).state == "SUCCESS"


def test_results_that_redis_did_not_take_cost_no_slot(
    own_worker: WorkerProcess, valkey: Valkey, git_uri: str, gate: Path
) -> None:
    jobs = [submit_waiting(own_worker, git_uri, gate) for _ in range(LEAST_SLOTS)]
    for job in jobs:
        own_worker.training(job)
    valkey.stop()
    gate.touch()
    for job in jobs:
        own_worker.ended(job)
    wait_until(lambda: own_worker.log.count("not shown in Celery's results") >= len(jobs), what="refused results")
    valkey.start()

    job = own_worker.ended(own_worker.submit(git_uri=git_uri))

    assert job.state is JobState.SUCCEEDED


def test_a_success_waits_for_mlflow_that_is_away(
    worker: WorkerProcess, mlflow_server: MlflowServer, git_uri: str, gate: Path
) -> None:
    job = submit_waiting(worker, git_uri, gate)
    worker.training(job)
    mlflow_server.stop()
    gate.touch()
    wait_until(lambda: "waiting to report the end" in worker.log, what="a worker that waits for MLflow")
    assert worker.in_state(job, JobState.RUNNING)
    mlflow_server.start()

    job = worker.ended(job, seconds=60)

    assert (job.state, len(job.attempts)) == (JobState.SUCCEEDED, 1)
    assert is_whole(worker.output(job))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_worker_adopts_what_the_last_one_left_training(
    own_worker: WorkerProcess, git_uri: str, gate: Path, number: signal.Signals
) -> None:
    worker = own_worker
    job = submit_waiting(worker, git_uri, gate)
    training = worker.training(job)
    worker.stop(number)
    left = worker.store.get(job.id)
    assert training.is_running()

    worker.start()
    wait_until(lambda: worker.log.count("running job_id") == 2, timeout_seconds=LEASE_SECONDS + 10, what="an adoption")
    assert training.is_running()
    gate.touch()
    job = worker.ended(job)

    assert (job.state, len(job.attempts)) == (JobState.SUCCEEDED, 1)
    assert job.attempt.container == left.attempt.container
    assert is_whole(worker.output(job))
    assert worker.result(job).state == "SUCCESS"


def test_discord_is_told_of_a_job_while_it_trains_and_when_it_has_ended(
    tmp_path: Path, valkey: Valkey, mlflow_server: MlflowServer, git_uri: str, discord: DiscordServer
) -> None:
    redis_url, told = valkey.url.removesuffix("/0") + "/2", {"DISCORD_WEBHOOK_URL": discord.url}
    with worker_process(tmp_path / "own", redis_url=redis_url, tracking_uri=mlflow_server.url, **told) as worker:
        job = worker.ended(worker.submit(git_uri=git_uri, entry_point="fails"))
        wait_until(lambda: len(discord.messages) == 2, what="two alerts")
        worker.stop()
    first, last = [message["embeds"][0] for message in discord.messages]
    assert (first["title"], last["title"]) == ("iris: training started", "iris: failed")
    assert "```\nno column age\n```" in last["description"]
    assert job.id in last["footer"]["text"]
    assert discord.url.rpartition("/")[2] not in worker.log


def test_a_job_that_names_a_channel_is_told_of_there_and_a_name_that_is_gone_does_it_no_harm(
    tmp_path: Path, valkey: Valkey, mlflow_server: MlflowServer, git_uri: str, discord: DiscordServer
) -> None:
    redis_url = valkey.url.removesuffix("/0") + "/3"
    told = {"ALERT_WEBHOOKS": f"team-a=discord:{discord.url}", "DISCORD_WEBHOOK_URL": f"{discord.url}-another"}
    with worker_process(tmp_path / "own", redis_url=redis_url, tracking_uri=mlflow_server.url, **told) as worker:
        alerts = {"to": ["team-a", "team-gone"], "events": ["succeeded"]}
        job = worker.ended(worker.submit(git_uri=git_uri, alerts=alerts))
        wait_until(lambda: discord.messages, what="an alert")
        worker.stop()
    assert job.state is JobState.SUCCEEDED
    [message] = discord.messages
    assert message["embeds"][0]["title"] == "iris: succeeded"
    assert discord.statuses == [200]
    assert "hunter2" not in worker.log
