"""examples/sklearn-dummy, trained as its README says, and its versions looked up in the registry."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.projects.utils import load_project
from mlflow.tracking import MlflowClient

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "sklearn-dummy"
TRAINING_TIMEOUT_SECONDS = 60

# MLflow's own SQL store does this on SQLAlchemy 2.1.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@dataclass(frozen=True)
class Trained:
    """A finished training: what it printed, and its run."""

    log: str
    run_id: str


def command_with(parameters: Mapping[str, str], tmp_path: Path) -> str:
    """Render the entry point's command as MLflow does."""
    entry_point = load_project(str(EXAMPLE)).get_entry_point("main")  # type: ignore[no-untyped-call]
    return str(entry_point.compute_command(dict(parameters), str(tmp_path)))


def new_run(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name("digits")
    experiment_id = experiment.experiment_id if experiment else client.create_experiment("digits")
    return str(client.create_run(experiment_id, tags={"retrain.job_id": "j1"}).info.run_id)


@pytest.fixture
def client(tmp_path: Path) -> MlflowClient:
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    # Without a place of its own, MLflow puts models into ./mlruns of whoever made the experiment: this checkout.
    client.create_experiment("digits", artifact_location=(tmp_path / "artifacts").as_uri())
    return client


def train(client: MlflowClient, folder: Path, **parameters: str) -> Trained:
    """Train as the process runner does: the command in this Python, in a run that exists."""
    run_id = new_run(client)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MLFLOW_TRACKING_URI": client.tracking_uri,
        "MLFLOW_RUN_ID": run_id,
    }
    command = command_with(parameters, folder).replace("python train.py", f"python {EXAMPLE / 'train.py'}")
    done = subprocess.run(  # noqa: S602 - the same shell line that a container runs
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TRAINING_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Trained(done.stdout, run_id)


def test_the_readmes_trainings_end_as_it_says(client: MlflowClient, tmp_path: Path) -> None:
    readme = (EXAMPLE / "README.md").read_text()
    parameters: list[dict[str, str]] = [{}, {"alpha": "0.1"}, {"alpha": "0.00001", "l1_ratio": "0.9"}]
    runs = [train(client, tmp_path, **changed) for changed in parameters]
    verdicts = [next(line for line in run.log.splitlines() if "promoted:" in line) for run in runs]
    assert [verdict in readme for verdict in verdicts] == [True] * 3
    assert [verdict.startswith("promoted") for verdict in verdicts] == [True, False, True]
    champion = client.get_model_version_by_alias("digits", "champion")
    assert (str(champion.version), champion.run_id, champion.tags["retrain.job_id"]) == ("2", runs[2].run_id, "j1")
    assert client.get_run(runs[1].run_id).data.params["alpha"] == "0.1"
    assert "epoch 10/10: accuracy 0.9622" in runs[0].log


def test_another_metric_in_the_other_direction_and_a_base_model_work(client: MlflowClient, tmp_path: Path) -> None:
    metric = {"primary_metric": "log_loss", "lower_is_better": "True", "epochs": "1"}
    first = train(client, tmp_path, **metric)
    further = train(client, tmp_path, **metric, base_model=first.run_id)
    assert "(lower is better)" in further.log
    assert client.get_run(further.run_id).data.metrics["accuracy"] > 0.9
