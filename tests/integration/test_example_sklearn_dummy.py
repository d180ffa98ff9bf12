"""examples/sklearn-dummy, trained as its README says, and its versions looked up in the registry."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
from mlflow.projects.utils import load_project
from mlflow.tracking import MlflowClient

from tests.support.engines import docker_or_skip

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "sklearn-dummy"
IMAGE = "retrain-example-sklearn-dummy"
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


@pytest.fixture(scope="module")
def engine() -> docker.DockerClient:
    return docker_or_skip()


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient) -> str:
    """The example's image, built from the few files that its Dockerfile needs."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name in ("pyproject.toml", "README.md", "mypackage", "examples/sklearn-dummy"):
            archive.add(ROOT / name, name, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    context.seek(0)
    dockerfile = "examples/sklearn-dummy/Dockerfile"
    engine.images.build(fileobj=context, custom_context=True, dockerfile=dockerfile, tag=IMAGE, rm=True, timeout=280)
    return IMAGE


def test_it_trains_in_its_own_image_which_has_no_more_of_mlflow_than_skinny(
    engine: docker.DockerClient, image: str, mlflow_url: str, tmp_path: Path
) -> None:
    client = MlflowClient(mlflow_url)
    run_id = new_run(client)
    model_name = f"digits-{run_id}"
    container = engine.containers.create(
        image,
        ["sh", "-c", command_with({"model_name": model_name, "epochs": "2"}, tmp_path)],
        environment={"MLFLOW_TRACKING_URI": mlflow_url, "MLFLOW_RUN_ID": run_id},
        network_mode="host",
        working_dir="/mlflow/projects/code",
    )
    try:
        code = io.BytesIO()
        with tarfile.open(fileobj=code, mode="w") as archive:
            archive.add(EXAMPLE / "train.py", "train.py")
        container.put_archive("/mlflow/projects/code", code.getvalue())
        container.start()
        exit_code = container.wait(timeout=TRAINING_TIMEOUT_SECONDS)["StatusCode"]
        log = container.logs().decode()
    finally:
        container.remove(force=True)
    assert exit_code == 0, log
    assert f"promoted: first version of '{model_name}'" in log
    assert client.get_model_version_by_alias(model_name, "champion").run_id == run_id
