"""Every route of the installed MLflow was looked at: it is allowed to trainings, or on the list of the refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.mlflow_guard.routes import ALLOWED, SHUT, decide_for_people, decide_for_training

REFUSED = Path(__file__).parent / "mlflow_refused_routes.txt"
# In a process of its own: MLflow's server changes logging and warnings of the process that imports it.
LIST = """
import warnings
warnings.simplefilter("ignore")
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app
from starlette.routing import Mount, Route

def of_fastapi(routes):
    for route in routes:
        if hasattr(route, "effective_route_contexts"):
            for each in route.effective_route_contexts():
                yield each.path, each.methods
        elif isinstance(route, Route):
            yield route.path, route.methods
        else:
            assert isinstance(route, Mount) and route.path == "", route

found = [*of_fastapi(app.routes), *((rule.rule, rule.methods) for rule in flask_app.url_map.iter_rules())]
for path, methods in found:
    for method in methods - {"HEAD", "OPTIONS"}:
        print(method, path)
"""
SAMPLES = {"<path:artifact_path>": "1/2f/artifacts/model/MLmodel", "<path:filename>": "x", "<path:path>": "x"}


def lines_of(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def routes() -> set[str]:
    """All routes of MLflow, as "METHOD /path/<name>"."""
    done = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, timeout=120, check=True)
    return {re.sub(r"\{([a-z_]+)(:path)?\}", _as_flask, line) for line in lines_of(done.stdout)}


def _as_flask(found: "re.Match[str]") -> str:
    return f"<path:{found[1]}>" if found[2] else f"<{found[1]}>"


def allowed() -> set[str]:
    return {f"{method} {path}" for path, methods in ALLOWED.items() for method in methods.split()}


def sample(path: str) -> bytes:
    for placeholder, value in SAMPLES.items():
        path = path.replace(placeholder, value)
    return re.sub("<[a-z_]+>", "m-1f", path).encode()


def test_every_route_of_mlflow_is_allowed_or_refused_by_a_decision(routes: set[str]) -> None:
    refused = lines_of(REFUSED.read_text())
    assert sorted(routes - allowed() - refused) == [], "Routes that nobody decided on: allow or list them."
    assert sorted((allowed() | refused) - routes) == [], "Routes that MLflow has no more."
    assert allowed() & refused == set()


def test_the_layer_decides_as_the_lists_say(routes: set[str]) -> None:
    passed = {each for each in routes if decide_for_training(each.split()[0], sample(each.split()[1]), b"").passes}
    assert passed == allowed()


def test_what_is_shut_for_people_is_there_in_mlflow_and_open_to_no_training(routes: set[str]) -> None:
    shut = {each for each in routes if not decide_for_people(each.split()[0], sample(each.split()[1]), b"").passes}
    ours = [each for each in SHUT if not each.startswith("/api")]  # their twins are for a later MLflow
    assert [each for each in ours if not any(f" {each}" in route for route in shut)] == []
    assert shut & allowed() == set()
    assert len([each for each in shut if "/assistant/" in each]) > 10
