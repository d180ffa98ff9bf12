"""mypackage as a folder beside train.py, on an MLflow 2.x client of its own, against our server."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from tests.support.engines import require

PACKAGE = Path(__file__).parents[3] / "mypackage"
REQUIREMENTS = ("mlflow-skinny==2.22.5", "pandas<3", "scikit-learn")
NAME = "trained-by-mlflow-2"
# Three trainings in one process, to import MLflow once; the first is in the run that the service made.
TRAIN = """\
import sys

import mlflow
from sklearn.linear_model import LinearRegression

from mypackage import utility
from mypackage.prep_utils import base_model_path

name = sys.argv[1]


def train(slope, base_model):
    with mlflow.start_run() as run:
        if path := base_model_path(base_model):
            print(base_model, mlflow.sklearn.load_model(path).coef_.round(3))
        gate(slope)
    return run.info.run_id


def gate(slope):
    utility.auto_compare_and_register(
        model=LinearRegression().fit([[0.0], [1.0]], [0.0, slope]), eval_metric=slope, model_name=name, lower=False,
        p_metric="slope", client=mlflow.tracking.MlflowClient(), mlflow_model=mlflow.models,
    )


print("MLflow", mlflow.__version__)
first = train(1.0, "None")
train(0.5, f"models:/{name}@champion")
train(2.0, first)
with mlflow.start_run():
    pass
gate(1.5)  # the job's own run, and the one before, have ended
mlflow.end_run()
train(3.0, f"models:/{name}@nobody")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has MLflow 2.x and nothing of ours."""
    uv, environment = Path(sys.executable).with_name("uv"), tmp_path_factory.mktemp("mlflow-2") / "environment"
    python = environment / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True, timeout=60)
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python, *REQUIREMENTS]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    require(installed.returncode == 0, f"{REQUIREMENTS[0]} ({installed.stderr.strip()})")
    return python


def test_the_gate_and_the_base_model_work_on_an_mlflow_2_client(python: Path, mlflow_url: str, tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "train.py").write_text(TRAIN)
    client = MlflowClient(mlflow_url)
    experiment_id = client.create_experiment(NAME)
    first = client.create_run(experiment_id).info.run_id
    done = subprocess.run(
        [python, "train.py", NAME],
        cwd=tmp_path,
        env={
            "MLFLOW_TRACKING_URI": mlflow_url,
            "MLFLOW_RUN_ID": first,
            "RETRAIN_RUN_ID": first,
            "MLFLOW_EXPERIMENT_ID": experiment_id,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = [line for line in done.stdout.splitlines() if not line.startswith("🏃") and not line.startswith("🧪")]
    assert printed == [
        "MLflow 2.22.5",
        f"promoted: first version of '{NAME}' (slope 1)",
        f"models:/{NAME}@champion [1.]",
        "not promoted: 0.5 < 1",
        f"{first} [1.]",
        "promoted: 2 > 1",
        "not promoted: 1.5 < 2",
    ], done.stderr
    assert done.stderr.splitlines()[-1].endswith(f"model '{NAME}' has no alias 'nobody' (it has: champion, previous).")

    aliases = {alias: client.get_model_version_by_alias(NAME, alias) for alias in ("champion", "previous")}
    assert {alias: str(found.version) for alias, found in aliases.items()} == {"champion": "2", "previous": "1"}
    assert aliases["previous"].run_id == first
    champion = client.get_run(aliases["champion"].run_id or "")
    assert (champion.data.metrics, champion.data.tags["base_model.run_id"]) == ({"slope": 2.0}, first)
    job_run = client.get_run(first).data
    assert (json.loads(job_run.tags["retrain.decision"])["challenger"], job_run.metrics) == (1.5, {"slope": 1.0})
