"""Runs on a real tracking server."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from shared.errors import Code, ConfigurationError, InfrastructureError, UserError
from tests.integration.tracking.conftest import REQUEST, SHA, closed
from tests.support.servers.mlflow_server import MlflowServer
from worker.tracking.client import (
    KNOWN_SECONDS,
    Run,
    RunResult,
    Tracking,
    configure_client,
    container_environment,
)
from worker.tracking.run_tags import RunRequest


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let MLflow's client give up at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")


def test_a_run_is_named_as_the_request_says(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest
) -> None:
    run = tracking.ensure_run(replace(request_of_test, run_name="iris, more trees"))
    assert client.get_run(run.run_id).info.run_name == "iris, more trees"


def test_a_run_without_a_name_is_told_from_others_and_leads_to_its_job(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest
) -> None:
    page = "https://retrain.example/jobs/job-1"
    first, again = (
        client.get_run(tracking.ensure_run(replace(each, model_name="iris", job_page=page)).run_id)
        for each in (request_of_test, replace(request_of_test, attempt=2))
    )
    assert (first.info.run_name, again.info.run_name) == ("iris 0123456", "iris 0123456 #2")
    assert again.data.tags["mlflow.note.content"] == f"Job [job-1]({page}), attempt 2"


def test_a_run_has_mlflows_tags_and_ours_without_credentials(run: Run, client: MlflowClient) -> None:
    found = client.get_run(run.run_id)
    ours = {name: value for name, value in found.data.tags.items() if name != "mlflow.runName"}
    assert ours == {
        "mlflow.user": "retrain",
        "mlflow.source.name": "https://host.example/team/iris.git#models/iris",
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": SHA,
        "mlflow.source.git.repoURL": "https://host.example/team/iris.git",
        "mlflow.source.git.branch": "main",
        "mlflow.project.entryPoint": "main",
        "mlflow.project.backend": "retrain",
        "mlflow.project.env": "docker",
        "mlflow.note.content": "Job `job-1`, attempt 1",
        "retrain.job_id": "job-1",
        "retrain.attempt": "1",
        "retrain.request_id": "nightly.7",
        "retrain.trigger": "iris-nightly",
        "retrain.triggered_by": '{"kind": "git", "key": "push 1", "facts": {"branch": "main"}}',
    }
    assert found.data.params == {"alpha": "0.5", "note": "two words"}
    assert found.info.status == "RUNNING"
    page = f"https://mlflow.example/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    assert run.url == f"{page}?workflowType=machine_learning"


def test_asking_again_gives_the_same_run_and_another_attempt_another(
    tracking: Tracking, request_of_test: RunRequest, run: Run
) -> None:
    assert tracking.ensure_run(request_of_test) == run
    second = tracking.ensure_run(replace(request_of_test, attempt=2))
    assert (second.experiment_id, second.run_id != run.run_id) == (run.experiment_id, True)


def test_a_run_that_was_created_twice_is_kept_once(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest, run: Run
) -> None:
    twin = client.create_run(run.experiment_id, tags={"retrain.job_id": "job-1", "retrain.attempt": "1"})
    assert tracking.ensure_run(request_of_test) == run
    assert client.get_run(twin.info.run_id).info.lifecycle_stage == "deleted"


def test_many_first_runs_of_an_experiment_share_it(tracking: Tracking, request_of_test: RunRequest) -> None:
    runs: list[Run] = []
    requests = [replace(request_of_test, attempt=attempt) for attempt in range(1, 6)]
    threads = [threading.Thread(target=lambda r: runs.append(tracking.ensure_run(r)), args=(r,)) for r in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({run.experiment_id for run in runs}) == 1
    assert len({run.run_id for run in runs}) == 5


def test_a_long_parameter_is_cut_visibly_and_many_are_kept(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest
) -> None:
    many = {f"p{number}": "1" for number in range(250)}
    run = tracking.ensure_run(replace(request_of_test, parameters={**many, "long": "x" * 7000}))
    params = client.get_run(run.run_id).data.params
    assert len(params) == 251
    assert len(params["long"]) == 6000
    assert params["long"].endswith("… (cut; 7000 characters in all)")


def test_a_parameter_name_that_mlflow_does_not_take_is_the_projects_fault(
    tracking: Tracking, request_of_test: RunRequest
) -> None:
    with pytest.raises(UserError) as caught:
        tracking.ensure_run(replace(request_of_test, parameters={"a?b": "1"}))
    assert caught.value.code is Code.INVALID_PARAMETER


def test_an_experiment_is_looked_up_once_for_jobs_that_come_together(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.rename_experiment(run.experiment_id, f"{request_of_test.experiment_name}, before")
    second = tracking.ensure_run(replace(request_of_test, attempt=2))
    assert second.experiment_id == run.experiment_id
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + KNOWN_SECONDS)
    third = tracking.ensure_run(replace(request_of_test, attempt=3))
    assert third.experiment_id != run.experiment_id
    assert client.get_experiment(third.experiment_id).name == request_of_test.experiment_name


def test_an_experiment_that_was_deleted_and_made_again_gets_the_run(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest, run: Run
) -> None:
    client.rename_experiment(run.experiment_id, f"{request_of_test.experiment_name}, before")
    client.delete_experiment(run.experiment_id)
    made = client.create_experiment(request_of_test.experiment_name)
    assert tracking.ensure_run(replace(request_of_test, attempt=2)).experiment_id == made


def test_a_deleted_experiment_says_what_to_do(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest, run: Run
) -> None:
    client.delete_experiment(run.experiment_id)
    with pytest.raises(UserError, match="Restore it in MLflow") as caught:
        tracking.ensure_run(request_of_test)
    assert caught.value.facts["experiment"] == request_of_test.experiment_name


def test_the_training_finds_the_run_by_its_environment(run: Run) -> None:
    assert container_environment(run, "http://mlflow:5000") == {
        "RETRAIN_RUN_ID": run.run_id,
        "MLFLOW_RUN_ID": run.run_id,
        "MLFLOW_TRACKING_URI": "http://mlflow:5000",
        "MLFLOW_EXPERIMENT_ID": run.experiment_id,
    }


def test_the_image_is_tagged_as_mlflow_does(
    tracking: Tracking, client: MlflowClient, request_of_test: RunRequest
) -> None:
    asked = replace(request_of_test, image="python:3.11-slim", image_id="sha256:abc")
    tags = client.get_run(tracking.ensure_run(asked).run_id).data.tags
    assert (tags["mlflow.docker.image.uri"], tags["mlflow.docker.image.id"]) == ("python:3.11-slim", "sha256:abc")


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_a_run_ends_once_and_the_exit_code_has_the_last_word(
    tracking: Tracking, client: MlflowClient, run: Run, status: str
) -> None:
    client.set_terminated(run.run_id, "FINISHED")
    tracking.finish_run(run.run_id, status)
    ended = client.get_run(run.run_id).info
    tracking.finish_run(run.run_id, status)
    again = client.get_run(run.run_id).info
    assert (ended.status, again.status) == (status, status)
    assert ended.end_time == again.end_time is not None


def test_a_run_that_somebody_deleted_does_not_fail_the_end(tracking: Tracking, client: MlflowClient, run: Run) -> None:
    client.delete_run(run.run_id)
    tracking.finish_run(run.run_id, "FINISHED")
    tracking.finish_run("0" * 32, "FINISHED")
    assert closed(tracking, Run("0" * 32, "1", None)) == RunResult({}, None, ())


def test_the_log_is_kept_as_an_artifact(tracking: Tracking, client: MlflowClient, run: Run) -> None:
    closed(tracking, run)
    assert [each.path for each in client.list_artifacts(run.run_id, "retrain")] == ["retrain/attempt-1.log"]
    assert Path(client.download_artifacts(run.run_id, "retrain/attempt-1.log")).read_text() == "line\n"


@pytest.mark.usefixtures("quick")
def test_a_server_that_is_not_there_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    server = MlflowServer(tmp_path)
    tracking = Tracking(server.url)
    assert unavailable(tracking).facts["experiment"] == "iris"
    try:
        server.start()
        run = tracking.ensure_run(REQUEST)
        server.stop()
        with pytest.raises(InfrastructureError):
            tracking.finish_run(run.run_id, "FINISHED")
        with pytest.raises(InfrastructureError):
            closed(tracking, run)
        server.start()
        assert tracking.ensure_run(REQUEST) == run
    finally:
        server.stop()


@pytest.mark.usefixtures("quick")
def test_a_server_that_takes_the_connection_and_never_answers_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        unavailable(Tracking(f"http://127.0.0.1:{silent.getsockname()[1]}"))


@pytest.fixture(params=[401, 403, 404, 429, 500, 502, 503])
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that answers all requests with a status and a page that is no JSON."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()
            self.wfile.write(b"<html>proxy says no</html>" * 100)

        def log_message(self, *_args: object) -> None:
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("quick")
def test_any_other_answer_is_unavailable_too(answering: str) -> None:
    assert len(unavailable(Tracking(answering)).message) < 500


def unavailable(tracking: Tracking) -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        tracking.ensure_run(REQUEST)
    assert caught.value.code is Code.TRACKING_UNAVAILABLE
    return caught.value


@pytest.mark.parametrize("uri", ["http://user:secret@host:5007", "https://token@host"])
def test_an_address_with_credentials_is_refused_without_repeating_them(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        Tracking(uri)
    assert "secret" not in caught.value.message
    assert "token@" not in caught.value.message


def test_the_client_gives_up_in_time_unless_the_operator_says_otherwise() -> None:
    environment = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}
    configure_client(environment)
    assert environment["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "300"
    assert environment["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"


def test_files_are_kept_beside_the_log_and_a_deleted_run_takes_none(
    tracking: Tracking, client: MlflowClient, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "card.html").write_text("a card")
    closed(tracking, run)
    tracking.keep_files(run.run_id, [tmp_path / "card.html"])
    kept = {each.path for each in client.list_artifacts(run.run_id, "retrain")}
    assert kept == {"retrain/attempt-1.log", "retrain/card.html"}

    client.delete_run(run.run_id)
    (tmp_path / "late.html").write_text("a card")
    tracking.keep_files(run.run_id, [tmp_path / "late.html"])
    tracking.keep_files("0" * 32, [tmp_path / "late.html"])
    assert {each.path for each in client.list_artifacts(run.run_id, "retrain")} == kept
