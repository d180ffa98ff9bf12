"""A training that tries to change what is not its own, through the real guard, before a real MLflow."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow.exceptions import RestException
from mlflow.tracking import MlflowClient

from mypackage.protocol import ATTEMPT_TAG, CHAMPION, EVALUATED_TAG, JOB_TAG, REFUSED_TAG
from tests.integration.deploy.hostile_calls import API, ATTACKS, FILES, Call, Job
from tests.support.servers.mlflow_guard import RunningGuard, running_guard, token_of
from tests.support.servers.own_mlflow import running_own_mlflow
from tests.support.waiting import wait_until
from worker.tracking.client import Tracking

TRAINING = Path(__file__).parent / "training_through_the_guard.py"


@dataclass(frozen=True)
class World:
    """Two jobs in one MLflow, and the guard before it."""

    guard: RunningGuard
    mlflow_url: str
    ours: Job
    theirs: Job

    def send(self, call: Call, token: str | None) -> requests.Response:
        """Send a request through the guard."""
        method, path, body = call
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        return requests.request(method, f"{self.guard.url}{path}", headers=headers, timeout=20, **sent)

    def seen(self) -> list[Any]:
        """Everything in MLflow that an attack could have changed, except the list of refusals."""
        straight = MlflowClient(self.mlflow_url)
        found: list[Any] = [(each.name, each.tags, each.lifecycle_stage) for each in straight.search_experiments()]
        for job in (self.ours, self.theirs):
            run = straight.get_run(job.run_id).to_dictionary()
            run["data"]["tags"].pop(REFUSED_TAG, None)
            model = straight.get_registered_model(job.model)
            versions = [vars(each) for each in straight.search_model_versions(f"name='{job.model}'")]
            files = [f"{job.run_files}/notes.txt", f"{job.model_files}/weights.bin"]
            contents = [requests.get(f"{self.mlflow_url}{FILES}/{each}", timeout=10).content for each in files]
            logged = straight.get_logged_model(job.model_id).to_dictionary()
            logged.pop("last_updated_timestamp", None)
            found += [run, model.aliases, model.tags, model.description, versions, logged, contents]
        return [*found, [each.name for each in straight.search_registered_models()]]


def job_of(url: str, name: str) -> Job:
    """Make a job's run, model and champion, as service and training do."""
    straight = MlflowClient(url)
    run = straight.create_run("0", tags={JOB_TAG: name, ATTEMPT_TAG: "1"})
    logged = straight.create_logged_model("0", "m", run.info.run_id)
    job = Job(name, run, logged.model_id, f"model-of-{name}")
    for path in (f"{job.run_files}/notes.txt", f"{job.model_files}/weights.bin"):
        requests.put(f"{url}{FILES}/{path}", data=f"of {name}".encode(), timeout=10).raise_for_status()
    straight.finalize_logged_model(logged.model_id, "READY")
    straight.create_registered_model(job.model)
    tags = {JOB_TAG: name, ATTEMPT_TAG: "1"}
    straight.create_model_version(job.model, f"models:/{logged.model_id}", job.run_id, tags, model_id=logged.model_id)
    straight.set_registered_model_alias(job.model, CHAMPION, "1")
    return job


@pytest.fixture(scope="module", params=["in MLflow's own process", "in a process before MLflow"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as at_end:
        if request.param == "in MLflow's own process":
            own = at_end.enter_context(running_own_mlflow(tmp_path_factory.mktemp("own-mlflow")))
            url, guard = own.url, own.guard
        else:
            url = request.getfixturevalue("mlflow_url")
            guard = at_end.enter_context(running_guard(url))
        yield World(guard, url, job_of(url, "ours"), job_of(url, "theirs"))


def listed(run_id: str, url: str) -> list[Mapping[str, Any]]:
    """What the guard has noted in the run."""
    return list(json.loads(MlflowClient(url).get_run(run_id).data.tags.get(REFUSED_TAG, "[]")))


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_training_changes_nothing_that_is_not_its_own_and_each_try_is_listed(world: World, kind: str) -> None:
    calls, before = ATTACKS[kind](world.ours, world.theirs), world.seen()
    for start in range(0, len(calls), 15):  # a list has room for 20
        _try_all(world, calls[start : start + 15])
    assert world.seen() == before


def _try_all(world: World, calls: Sequence[Call]) -> None:
    run_id = _attempt(world)
    token = token_of(run_id, job_id="ours", model_name=world.ours.model)
    assert [call for call in calls if not _refused(world.send(call, token))] == []
    wait_until(lambda: _count(run_id, world) == len(calls), what=f"{len(calls)} refusals in the run")


def _refused(answer: requests.Response) -> bool:
    said = answer.json() if answer.status_code == 403 else {}
    return said.get("error_code") == "PERMISSION_DENIED" and "The guard before MLflow refused" in said["message"]


def _attempt(world: World) -> str:
    run = MlflowClient(world.mlflow_url).create_run("0", tags={JOB_TAG: "ours", ATTEMPT_TAG: "2"})
    return str(run.info.run_id)


def _count(run_id: str, world: World) -> int:
    return sum(each["count"] for each in listed(run_id, world.mlflow_url))


@pytest.mark.parametrize("whose", ["none", "forged", "expired", "altered", "another scheme"])
def test_without_a_valid_token_nothing_is_answered(world: World, whose: str) -> None:
    right = world.ours.token
    token = {
        "none": None,
        "forged": token_of(world.ours.run_id, job_id="ours", key="another"),
        "expired": token_of(world.ours.run_id, job_id="ours", seconds=-1),
        "altered": f"{right[:-2]}{'A' if right[-2] != 'A' else 'B'}{right[-1]}",
        "another scheme": "a b",
    }[whose]
    before = world.seen()
    calls = [call for calls in ATTACKS.values() for call in calls(world.ours, world.theirs)]
    calls.append(("GET", f"{API}/runs/get?run_id={world.ours.run_id}", None))
    for call in calls:
        answer = world.send(call, token)
        assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
        assert "MLFLOW_TRACKING_TOKEN" in answer.json()["message"]
    assert world.seen() == before


def test_another_job_s_token_gives_what_that_job_may_and_no_more(world: World) -> None:
    before = world.seen()
    for calls in ATTACKS.values():
        for call in calls(world.theirs, world.ours):
            assert _refused(world.send(call, world.theirs.token)), call
    assert world.seen() == before


def test_mlflow_s_client_raises_the_text_that_says_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", world.ours.token)
    client = MlflowClient(world.guard.url)
    with pytest.raises(RestException, match=r"the service decides .* utility\.auto_compare_and_register") as refused:
        client.set_registered_model_alias(world.ours.model, CHAMPION, "1")
    assert refused.value.error_code == "PERMISSION_DENIED"


def test_what_a_training_may_do_works_as_without_a_guard(world: World, tmp_path: Path) -> None:
    run_id = _attempt(world)
    token = token_of(run_id, job_id="ours", model_name="trained")
    env = {
        **os.environ,
        "MLFLOW_TRACKING_URI": world.guard.url,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_RUN_ID": run_id,
        "PYTHONWARNINGS": "ignore",
        "OTHER_MODEL": world.theirs.model_id,
    }
    done = subprocess.run(
        [sys.executable, str(TRAINING)], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert listed(run_id, world.mlflow_url) == []
    straight = MlflowClient(world.mlflow_url)
    runs = straight.search_runs(_experiments(straight), f"tags.`{JOB_TAG}` = 'ours' and tags.made = 'here'")
    assert {run.info.run_name for run in runs} >= {"nested", "elsewhere"}
    (version,) = straight.search_model_versions("name='trained'")
    assert version.tags[JOB_TAG] == "ours"
    assert straight.get_run(run_id).data.metrics["of the champion"] == 0.5
    assert [each.key for each in straight.get_logged_model(world.theirs.model_id).metrics or ()] == []


def _experiments(client: MlflowClient) -> list[str]:
    return [each.experiment_id for each in client.search_experiments()]


def test_an_evaluation_logs_to_the_runs_that_the_service_made_for_it_and_names_none_itself(world: World) -> None:
    job_run = _attempt(world)
    straight = Tracking(world.mlflow_url).evaluations
    token = token_of(job_run, job_id="ours", model_name=world.ours.model)
    made = straight.ensure("ours", job_run, "0", key="0-1 champion", name="evaluation of the champion, version 1")
    metric = {"run_id": made.run_id, "key": "accuracy", "value": 0.5, "timestamp": 1}
    assert world.send(("POST", f"{API}/runs/log-metric", metric), token).status_code == 200
    info = MlflowClient(world.mlflow_url).get_run(made.run_id).info
    path = str(info.artifact_uri).partition("mlflow-artifacts:/")[2].lstrip("/")
    assert world.send(("PUT", f"{FILES}/{path}/scores.csv", b"id,score\n1,1\n"), token).status_code == 200
    forged = {"run_id": made.run_id, "key": EVALUATED_TAG, "value": "0-1 challenger"}
    assert _refused(world.send(("POST", f"{API}/runs/set-tag", forged), token))
    assert straight.end(made.run_id).metrics == {"accuracy": 0.5}
