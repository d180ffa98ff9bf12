"""What the API tells of each version: its value, what made it, and what is recorded while MLflow is away."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.jobs.model import JobState
from shared.jobs.promotions import Promotion, PromotionState
from shared.jobs.records import Ending, Resolution
from tests.fakes.store import MemoryStore
from tests.support.jobs import new_job
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow
from tests.unit.api.access.callers import sent_by
from tests.unit.api.models.test_models import CHAMPION, NO_MLFLOW, waiting
from tests.unit.conftest import ClaimJob, MakeApp

REFUSED = PromotionState.NOT_PROMOTED
DATA = {"repo": "https://example.org/data.git", "rev": "a" * 40, "path": None, "digest": "sha256:1"}


@pytest.fixture
def mlflow() -> Iterator[OddMlflow]:
    with odd_mlflow() as server:
        yield server


def told(client: FlaskClient, path: str, **headers: str) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


def propose(store: MemoryStore, version: str, **values: Any) -> Promotion:
    return store.propose(replace(waiting(version), **values), seen=store.last_event(*CHAMPION))


def registered(mlflow: OddMlflow, version: str, **tags: str) -> None:
    """Have MLflow know the version with these tags."""
    told = [{"key": f"retrain.{name}", "value": value} for name, value in tags.items()]
    found = {"version": version, "run_id": version, "creation_timestamp": 1, "tags": told}
    mlflow.odd["model-versions/get"] = {"model_version": found}
    mlflow.odd["model-versions/search"] = {"model_versions": [found]}


def test_a_version_has_the_value_it_was_judged_by_and_what_became_of_that(
    make_app: MakeApp, store: MemoryStore, mlflow: OddMlflow
) -> None:
    decision = {"metric": "loss", "direction": "lower_is_better", "challenger": 0.5}
    made = propose(store, "2", state=REFUSED, decision={**decision, "guardrails": {"f1": {"direction": "x"}}})
    client = make_app(mlflow_tracking_uri=mlflow.served.url).test_client()
    found, other = told(client, "/models/iris")["versions"]
    assert (found["metric"], found["value"], found["direction"]) == ("loss", 0.5, "lower_is_better")
    assert (found["promotion_id"], found["state"]) == (made.id, "not_promoted")
    assert (other["metric"], other["value"], other["promotion_id"], other["state"]) == (None, None, None, None)
    registered(mlflow, "2", metric="accuracy", metric_value="nan")
    [tagged] = told(client, "/models/iris")["versions"]
    assert (tagged["metric"], tagged["value"]) == ("accuracy", None)


def test_a_version_s_code_and_data_are_its_job_s_and_not_told_to_another_team(
    make_app: MakeApp, store: MemoryStore, mlflow: OddMlflow, claim_job: ClaimJob
) -> None:
    job_id = store.submit(new_job(model_name="iris", team="speech", submitted_by="ben")).job.id
    claim = claim_job(job_id)
    store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", None, "run"))
    store.finish(claim, Ending(JobState.SUCCEEDED, result={"dataset": DATA}))
    store.assign_model("iris", "vision")
    registered(mlflow, "2", job_id=job_id)
    app = make_app(mlflow_tracking_uri=mlflow.served.url, teams_isolated=True, api_tokens=("an-administrator-s",))
    client = app.test_client()
    of_all = {"Authorization": "Bearer an-administrator-s"}
    for path in ("/models/iris", "/models/iris/versions/2"):
        answer = told(client, path, **of_all)
        whole = answer.get("versions", [answer])[0]
        assert (whole["commit_sha"], whole["dataset"]) == ("f" * 40, DATA)
        answer = told(client, path, **sent_by(store, f"ann-{len(path)}", Role.VIEWER, team="vision"))
        hidden = answer.get("versions", [answer])[0]
        assert (hidden["git_uri"], hidden["commit_sha"], hidden["dataset"], hidden.get("job")) == (None,) * 4


def test_what_is_recorded_is_told_without_mlflow(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(**NO_MLFLOW).test_client()
    assert told(client, "/models?recorded=true") == {"models": []}
    assert client.get("/models/iris?recorded=true").status_code == 404
    moved = propose(store, "2", state=PromotionState.MOVING, before="1", job_id="job-2")
    store.carried_out(moved.id)
    made = propose(store, "3", approval_seconds=60.0)
    [summary] = told(client, "/models?recorded=true")["models"]
    assert summary["aliases"] == {"champion": "2", "previous": "1"}
    assert (summary["champion"], summary["last"]["event"]) == ("2", "approval_wanted")
    assert [(each["id"], each["version"]) for each in summary["waiting"]] == [(made.id, "3")]
    model = told(client, "/models/iris?recorded=true")
    assert (model["champion"], model["previous"], model["waiting"]) == ("2", "1", summary["waiting"])
    assert [(each["version"], each["job_id"]) for each in model["versions"]] == [("3", None), ("2", "job-2")]


@pytest.mark.parametrize(
    "odd", [{"model_version": None}, {"model_version": {"version": "2"}}, {}, {"model_version": 1}]
)
def test_a_version_in_an_unknown_form_is_no_fault_of_ours(make_app: MakeApp, mlflow: OddMlflow, odd: Any) -> None:
    mlflow.odd["model-versions/get"] = odd
    client = make_app(mlflow_tracking_uri=mlflow.served.url).test_client()
    assert client.get("/models/iris/versions/2").status_code == 503


@pytest.mark.parametrize("odd", [{"run": None}, {"run": {"data": {"metrics": [{"key": "a"}]}}}, {"run": 1}])
def test_a_run_in_an_unknown_form_is_no_fault_of_ours(make_app: MakeApp, mlflow: OddMlflow, odd: Any) -> None:
    mlflow.odd["runs/get"] = odd
    client = make_app(mlflow_tracking_uri=mlflow.served.url).test_client()
    assert client.get("/models/iris/versions/2").status_code == 503
