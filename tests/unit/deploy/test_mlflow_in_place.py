"""Our MLflow server is MLflow's, less what it has no use for."""

import subprocess
import sys
from pathlib import Path

from tests.unit.deploy.test_mlflow_routes import LIST

ROOT = Path(__file__).parents[3]
HEAVY = ("matplotlib", "pandas", "pyarrow", "scipy", "sklearn")
LEAN = "import sys, warnings\nwarnings.simplefilter('ignore')\nimport deploy.mlflow_in_place, mlflow.server\n"
SIGNATURE = """
import json
from mlflow.models import Model
columns = json.dumps([{"name": "height", "type": "double"}])
told = {"artifact_path": "m", "run_id": "2f", "flavors": {}, "signature": {"inputs": columns, "outputs": None}}
print("height" in str(Model.from_dict(told).signature), "pandas" in sys.modules)
"""


def told_by(code: str) -> list[str]:
    """What a process prints: MLflow's server changes logging and warnings of the one that loads it."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()


def test_it_serves_all_routes_of_mlflow_but_those_of_the_gateway_that_it_refuses() -> None:
    whole, ours = set(told_by(LIST)), set(told_by(LEAN + LIST))
    assert ours < whole
    assert [route for route in whole - ours if not route.split()[1].startswith("/gateway/")] == []


def test_it_loads_no_pandas_and_reads_a_models_signature_all_the_same() -> None:
    loaded = told_by(f"{LEAN}print(*(each for each in {HEAVY} if each in sys.modules), sep='\\n'){SIGNATURE}")
    assert loaded == ["", "True True"]


def test_loaded_before_it_serves_it_looks_at_host_and_origin_all_the_same() -> None:
    """MLflow decides as it is loaded whether it does; FastAPI's part of it looks again, which would hide that."""
    (asked,) = told_by(f"{LEAN}print(*(each.__name__ for each in mlflow.server.app.before_request_funcs[None]))")
    assert {"validate_host", "block_cross_origin_state_changes"} <= set(asked.split())
