"""MLflow's backend of projects: what it takes, what it refuses, and the job as MLflow sees it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import ExecutionException

from mypackage.client import Client
from mypackage.project_backend import KNOWN, RetrainBackend, RetrainRun, _source
from shared.jobs.model import JobState
from shared.jobs.records import Ending
from tests.fakes.store import MemoryStore
from tests.support.jobs import DOCKER_AWAY
from tests.support.retrain_command import git, make_checkout
from tests.support.servers.served_app import ServedApp, served
from tests.unit.conftest import BODY, ClaimJob, MakeApp

URI = "https://github.com/user/iris.git"
OF_MLFLOW: dict[str, Any] = {
    "SYNCHRONOUS": True,
    "ENV_MANAGER": None,
    "DOCKER_ARGS": {},
    "STORAGE_DIR": None,
    "build_image": False,
}


@pytest.fixture
def start(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ServedApp]]:
    for name in ("RETRAIN_URL", "RETRAIN_TOKEN", "RETRAIN_GIT_URI"):
        monkeypatch.delenv(name, raising=False)
    with served(make_app, monkeypatch) as begin:
        yield begin


def refusal(config: dict[str, Any], *, uri: str = URI, tracking_uri: str = "http://127.0.0.1:9") -> str:
    """What run says instead of submitting."""
    with pytest.raises(ExecutionException) as raised:
        RetrainBackend().run(uri, "main", {}, None, {**OF_MLFLOW, **config}, tracking_uri, "0")
    return str(raised.value)


def test_a_key_that_nobody_knows_is_named_with_those_that_are_known(start: Callable[..., ServedApp]) -> None:
    said = refusal({"url": start().url, "token": "hunter2", "urll": "x"})
    assert "has token, urll, which nobody knows" in said
    assert all(name in said for name in KNOWN)
    assert "RETRAIN_TOKEN" in said
    assert "hunter2" not in said


def test_without_an_address_it_says_how_to_give_one(start: Callable[..., ServedApp]) -> None:
    assert "RETRAIN_URL" in refusal({})


@pytest.mark.parametrize(
    ("given", "option"),
    [({"DOCKER_ARGS": {"gpus": "all"}}, "--docker-args"), ({"ENV_MANAGER": "conda"}, "--env-manager")],
)
def test_what_would_change_an_environment_of_this_machine_is_refused(
    given: dict[str, Any], option: str, start: Callable[..., ServedApp]
) -> None:
    assert refusal({"url": start().url, **given}).startswith(option)


def test_what_an_argument_says_is_said_by_that_only(start: Callable[..., ServedApp]) -> None:
    said = refusal({"url": start().url, "request": {"commit_hash": "main"}})
    assert said == "commit_hash is said by --version, not by request in --backend-config."
    assert "is not an object" in refusal({"url": start().url, "request": "main"})


def test_runs_are_recorded_where_the_service_records_them(start: Callable[..., ServedApp]) -> None:
    assert "Set MLFLOW_TRACKING_URI" in refusal({"url": start().url}, tracking_uri="file:///tmp/mlruns")


def test_an_address_is_sent_with_its_folder_and_version() -> None:
    assert _source(f"{URI}#ml/iris", "v1") == {"git_uri": URI, "MLproject_location": "ml/iris", "commit_hash": "v1"}
    assert _source(URI, None) == {"git_uri": URI, "MLproject_location": ""}
    assert _source("git@host:user/iris.git", None)["git_uri"] == "git@host:user/iris.git"


def test_credentials_come_from_the_environment_if_they_are_those_of_this_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RETRAIN_GIT_URI", "https://hunter2@github.com/user/iris.git")
    assert _source(URI, None)["git_uri"] == "https://hunter2@github.com/user/iris.git"
    assert "hunter2" not in _source("https://github.com/user/other.git", None)["git_uri"]


def test_of_a_pushed_checkout_its_origin_and_head_are_trained(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / "checkout")
    assert _source(str(checkout / "training"), None) == {
        "git_uri": URI,
        "commit_hash": git(checkout, "rev-parse", "HEAD"),
        "MLproject_location": "training",
    }
    (checkout / "training/new.py").write_text("")
    with pytest.raises(ExecutionException, match="uncommitted changes"):
        _source(str(checkout), None)
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Second")
    with pytest.raises(ExecutionException, match="not pushed"):
        _source(str(checkout), None)


def test_a_folder_that_is_no_pushed_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExecutionException, match="The service trains commits"):
        _source(str(tmp_path), None)


def test_mlflow_sees_a_job_in_its_own_words(
    start: Callable[..., ServedApp], store: MemoryStore, claim_job: ClaimJob, capsys: pytest.CaptureFixture[str]
) -> None:
    up = start()
    for ending, status in ((Ending(JobState.SUCCEEDED), "FINISHED"), (Ending(JobState.FAILED, DOCKER_AWAY), "FAILED")):
        submitted = RetrainRun(Client(up.url).retrain(**BODY))
        assert (submitted.get_status(), submitted.run_id) == ("SCHEDULED", None)
        claim = claim_job(submitted.job.id)
        store.started(claim, runner="docker", container="c")
        assert submitted.get_status() == "RUNNING"
        store.append_log(claim, b"it \x1b[31mtrains\n", source_offset=0)
        store.finish(claim, ending)
        assert submitted.wait() == (status == "FINISHED")
        assert submitted.get_status() == status
        assert "it trains\n" in capsys.readouterr().out


def test_cancelling_ends_the_job_and_once_ended_changes_nothing(start: Callable[..., ServedApp]) -> None:
    submitted = RetrainRun(Client(start().url).retrain(**BODY), follows=False)
    submitted.cancel()
    assert submitted.get_status() == "KILLED"
    submitted.cancel()
    assert submitted.wait() is False


def test_a_service_that_does_not_answer_is_told_in_mlflow_s_error(start: Callable[..., ServedApp]) -> None:
    up = start()
    submitted = RetrainRun(Client(up.url).retrain(**BODY))
    up.stop()
    with pytest.raises(ExecutionException, match=r"127\.0\.0\.1"):
        submitted.get_status()
