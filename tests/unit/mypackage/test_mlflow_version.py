"""An image with an MLflow of the predecessor's time is told so before it trains."""

import subprocess
import sys

import pytest

from mypackage.mlflow_version import MlflowTooOld, require_mlflow

WITH_OLD_MLFLOW = "import mlflow; mlflow.__version__ = '1.30.1'; import mypackage.utility"


def test_importing_the_gate_with_an_old_mlflow_names_both_versions_and_what_to_install() -> None:
    done = subprocess.run([sys.executable, "-c", WITH_OLD_MLFLOW], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert "needs MLflow 2.3 or newer in the training image; this one has 1.30.1" in told
    assert "mlflow-skinny>=3" in told


@pytest.mark.parametrize("version", ["1.30.1", "2.2.2", "2.0.0rc0"])
def test_a_version_without_aliases_is_too_old(version: str) -> None:
    with pytest.raises(MlflowTooOld):
        require_mlflow(version)


@pytest.mark.parametrize("version", ["2.3.0", "2.22.5", "3.17.2.dev0", "10.0", "of our own"])
def test_a_newer_version_and_an_odd_one_are_let_through(version: str) -> None:
    require_mlflow(version)
