"""What the service reads and writes when it decides about models, on a real tracking server."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from mypackage.gate.proposal import Proposal
from shared.promoting import CannotMove
from worker.tracking.client import Run, Tracking
from worker.tracking.model_gate import ModelGate

# In a process of its own, because it sets MLflow's tracking server for all of it.
LOG_MODEL = """
import sys, mlflow
class Model(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return model_input
mlflow.set_tracking_uri(sys.argv[1])
with mlflow.start_run(run_id=sys.argv[2]):
    print("uri", mlflow.pyfunc.log_model(name="model", python_model=Model(), pip_requirements=[]).model_uri)
"""


@pytest.fixture
def gate(tracking: Tracking) -> ModelGate:
    return tracking.gate


@pytest.fixture
def made(run: Run, request: pytest.FixtureRequest) -> Proposal:
    """A proposal whose model is not registered, and whose name no other test has."""
    uri = f"runs:/{run.run_id}/model"
    return Proposal(request.node.name, uri, run.run_id, "accuracy", False, "champion", at=1, expects=True)


def log_model(url: str, run_id: str, folder: Path) -> str:
    command = [sys.executable, "-W", "ignore", "-c", LOG_MODEL, url, run_id]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("uri "))


def test_proposals_are_read_in_the_order_of_the_calls_and_what_is_none_is_left_out(
    gate: ModelGate, client: MlflowClient, run: Run, made: Proposal
) -> None:
    several = [replace(made, at=at, tags={"note": "é"}) for at in (3, 1, 2)]
    for name, text in zip("abcdef", [*(each.to_json() for each in several), "{", "[]", '{"at": 1}'], strict=True):
        client.set_tag(run.run_id, f"retrain.proposal.{name}", text)
    assert list(gate.proposals(run.run_id)) == sorted(several, key=lambda each: each.at)
    assert gate.proposals("0" * 32) == ()


def test_of_very_many_proposals_the_best_are_kept(
    gate: ModelGate, client: MlflowClient, run: Run, made: Proposal
) -> None:
    for at in range(105):
        tag = f"retrain.proposal.{at:03}"
        client.set_tag(run.run_id, tag, replace(made, at=at, expects=at in (2, 50, 104)).to_json())
    assert [each.at for each in gate.proposals(run.run_id)] == [2, 50, 104]


def test_a_challenger_is_what_its_run_logged(gate: ModelGate, client: MlflowClient, made: Proposal) -> None:
    client.log_metric(made.run_id, "accuracy", 0.9)
    challenger = gate.challenger(made, "accuracy")
    assert challenger is not None
    assert (challenger.value, challenger.metrics) == (0.9, {"accuracy": 0.9})
    assert gate.challenger(replace(made, run_id="0" * 32), "accuracy") is None


def test_a_run_is_the_jobs_own_by_its_tag_or_by_the_run_that_it_is_nested_in(
    gate: ModelGate, client: MlflowClient, run: Run, made: Proposal
) -> None:
    def is_own(run_id: str, **values: Any) -> bool:
        return gate.is_of_job(replace(made, run_id=run_id, **values), job_id="mine", job_run=run.run_id)

    def make(**tags: str) -> str:
        return str(client.create_run(run.experiment_id, tags=tags).info.run_id)

    nested = make(**{"mlflow.parentRunId": run.run_id})
    inner = make(**{"mlflow.parentRunId": nested})
    tagged, theirs = make(**{"retrain.job_id": "mine"}), make(**{"retrain.job_id": "theirs"})
    assert [is_own(each) for each in (run.run_id, nested, inner, tagged)] == [True] * 4
    assert [is_own(each) for each in (theirs, make(), "0" * 32)] == [False] * 3
    # What the service would register must be the job's, too.
    logged = [client.create_logged_model(run.experiment_id, source_run_id=each) for each in (nested, theirs)]
    own, other = (f"models:/{each.model_id}" for each in logged)
    assert [is_own(run.run_id, model_uri=uri) for uri in (f"runs:/{nested}/model", own)] == [True] * 2
    strange = (
        other,
        f"runs:/{theirs}/model",
        f"runs:/{nested}/../{theirs}",
        "models:/m-0",
        "models:/iris/1",
        "s3://b/m",
    )
    assert [is_own(run.run_id, model_uri=uri) for uri in strange] == [False] * 6
    client.create_registered_model(made.model_name)
    for run_id in (run.run_id, theirs):
        client.create_model_version(made.model_name, f"runs:/{run_id}/model", run_id=run_id)
    assert [is_own(run.run_id, version=version) for version in "123"] == [True, False, False]


def test_the_service_registers_a_proposed_model_once_and_it_can_be_loaded(
    gate: ModelGate, client: MlflowClient, mlflow_url: str, run: Run, made: Proposal, tmp_path: Path
) -> None:
    tags = {"team": "vision", "retrain.rollback_reason": "made up"}
    proposal = replace(made, model_uri=log_model(mlflow_url, run.run_id, tmp_path), tags=tags)
    assert gate.is_new_model(proposal)
    assert [gate.register(proposal, {"retrain.job_id": "mine"}) for _ in range(2)] == ["1", "1"]
    found = client.get_model_version(proposal.model_name, "1")
    assert (found.run_id, found.tags) == (run.run_id, {"team": "vision", "retrain.job_id": "mine"})
    download = "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]); mlflow.pyfunc.load_model(sys.argv[2])"
    address = f"models:/{proposal.model_name}/1"
    subprocess.run([sys.executable, "-W", "ignore", "-c", download, mlflow_url, address], cwd=tmp_path, check=True)
    assert gate.is_new_model(replace(proposal, version="1"))
    assert not gate.is_new_model(replace(proposal, version="2"))
    assert gate.register(replace(proposal, version="7"), {}) == "7"


def test_an_alias_is_found_moved_and_refused(gate: ModelGate, client: MlflowClient, made: Proposal) -> None:
    name = made.model_name
    assert gate.find_version(name, "champion") is None
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, made.model_uri, run_id=made.run_id)
    assert gate.find_version(name, "champion") is None
    gate.move_alias(name, "champion", "2")
    assert gate.find_version(name, "champion") == "2"
    champion = gate.find_champion(name, "champion", "accuracy")
    assert champion is not None
    assert champion.version == "2"
    for alias, version in (("champion", "7"), ("latest", "1"), ("v1", "1"), ("a" * 300, "1"), ("a/b", "1")):
        with pytest.raises(CannotMove):
            gate.move_alias(name, alias, version)
    client.delete_model_version(name, "2")
    assert gate.find_version(name, "champion") is None


def test_a_decision_is_kept_on_runs_and_version(
    gate: ModelGate, client: MlflowClient, run: Run, made: Proposal
) -> None:
    client.create_registered_model(made.model_name)
    client.create_model_version(made.model_name, made.model_uri, run_id=made.run_id)
    gate.note([run.run_id], decision='{"promoted": true}', reason="promoted: 2 > 1", promoted=True)
    gate.tag_version(made.model_name, "1", {"retrain.promoted": "true"})
    tags = client.get_run(run.run_id).data.tags
    assert tags["retrain.promoted"] == "true"
    assert tags["mlflow.note.content"] == "Job `job-1`, attempt 1\n\npromoted: 2 > 1"
    assert client.get_model_version(made.model_name, "1").tags == {"retrain.promoted": "true"}
    assert gate.find_source_run(made.model_name, "1") == run.run_id


def test_a_run_or_version_that_was_deleted_is_told_nothing_and_is_no_failure(
    gate: ModelGate, client: MlflowClient, run: Run, made: Proposal
) -> None:
    client.create_registered_model(made.model_name)
    client.create_model_version(made.model_name, made.model_uri, run_id=made.run_id)
    client.delete_run(run.run_id)
    client.delete_model_version(made.model_name, "1")
    gate.note(["0" * 32, run.run_id], decision="{}", reason="promoted", promoted=True)
    gate.tag_version(made.model_name, "1", {"retrain.promoted": "true"})
    assert gate.find_source_run(made.model_name, "1") is None
    assert "retrain.promoted" not in client.get_run(run.run_id).data.tags


def test_a_description_that_the_training_wrote_stays_and_ours_is_not_doubled(
    gate: ModelGate, client: MlflowClient, run: Run
) -> None:
    for reason in ("not promoted: 1 < 2", "promoted: 3 > 2"):
        gate.note([run.run_id], decision="{}", reason=reason, promoted=True)
    described = client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert described == "Job `job-1`, attempt 1\n\npromoted: 3 > 2"
    client.set_tag(run.run_id, "mlflow.note.content", "my own words")
    gate.note([run.run_id], decision="{}", reason="promoted: 4 > 3", promoted=True)
    assert client.get_run(run.run_id).data.tags["mlflow.note.content"] == "my own words"
