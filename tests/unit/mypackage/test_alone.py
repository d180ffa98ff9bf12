"""mypackage as a folder beside train.py, with nothing of the service and no library that it does not need yet."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "mypackage"
HEAVY = ("dvc", "azure", "tqdm", "mlflow", "click")
CHECK = f"import sys, mypackage.prep_utils; print(mypackage.__file__, [n for n in {HEAVY!r} if n in sys.modules])"


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_importing_it_loads_no_library_of_an_origin_that_nobody_asked_for(beside: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=beside, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"{beside / 'mypackage' / '__init__.py'} []\n"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({"RETRAIN_JOB_ID": "j1", "MLFLOW_RUN_ID": "r1", "RETRAIN_RUN_ID": "r1"}, "r1"),
        ({"RETRAIN_JOB_ID": "j1", "MLFLOW_RUN_ID": "r1"}, "r1"),  # of an older worker
        ({"MLFLOW_RUN_ID": "r1"}, "None"),  # of `mlflow run`
        ({}, "None"),
    ],
)
def test_the_jobs_run_is_known_after_mlflow_has_taken_its_variable_away(
    environment: dict[str, str], found: str, beside: Path
) -> None:
    look = (
        "import os; from mypackage.job_run import job_run_id as find; os.environ.pop('MLFLOW_RUN_ID', 0); print(find())"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        cwd=beside,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == f"{found}\n"
