"""The MLproject and train.py that the predecessor's README told its users to write: they run without edits."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.projects.predecessor import ARGUMENTS, BLOCK_ENTRY_POINT, DOCKER_ENV, LONG_ENTRY_POINT
from worker.project.entry_points import assemble, render
from worker.project.loading import load_project
from worker.project.parameter_values import ParameterValue

SHORT_ENTRY_POINT = """\
entry_points:
  main: 
    command: "python train.py"
"""  # noqa: W291 - verbatim
TRAIN = (
    ARGUMENTS
    + """\
import json
print(json.dumps({**vars(args), "lower": lower, "rest": _}))
"""
)
REQUEST = {
    "experiment_name": "name_of_experiment",
    "base_model": "None",
    "dataset_repo": "not_used",
    "model_name": None,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


def train(folder: Path, mlproject: str, parameters: Mapping[str, ParameterValue], **fields: str) -> dict[str, Any]:
    """Run the project as the worker does, and return what its train.py saw."""
    (folder / "MLproject").write_text(mlproject)
    entry_point = load_project(folder).entry_point("main")
    command = render(entry_point, assemble(entry_point, fields=REQUEST | fields, parameters=parameters)).command
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_the_documented_project_runs_with_its_defaults_and_the_requests_fields(folder: Path) -> None:
    assert train(folder, DOCKER_ENV + LONG_ENTRY_POINT, {}) == {
        "model_name": "default",
        "lower": False,
        "p_metric": "mAP",
        "base_model": "None",
        "dataset_repo": "not_used",
        "rest": ["--experiment_name", "name_of_experiment"],
    }


def test_its_image_is_found_although_it_has_no_name(folder: Path) -> None:
    (folder / "MLproject").write_text(DOCKER_ENV + LONG_ENTRY_POINT)
    assert load_project(folder).image == "training-container:detectron2"


def test_declared_and_undeclared_parameters_reach_train_py(folder: Path) -> None:
    seen = train(
        folder,
        DOCKER_ENV + LONG_ENTRY_POINT,
        {"lower_is_better": True, "primary_metric": "a | --b; $(id)", "epochs": 3, "note": "two words"},
        model_name="iris",
    )
    assert seen["lower"] is True
    assert seen["p_metric"] == "a | --b; $(id)"
    assert seen["model_name"] == "iris"
    assert seen["rest"] == ["--experiment_name", "name_of_experiment", "--epochs", "3", "--note", "two words"]


def test_undeclared_fields_do_not_reach_a_project_and_its_parameters_do(folder: Path) -> None:
    required = {"model_name": "m", "p_metric": "p", "base_model": "b", "dataset_repo": "d", "lower": "false"}
    seen = train(folder, DOCKER_ENV + SHORT_ENTRY_POINT, required)
    assert seen == {**required, "lower": False, "rest": []}


def test_a_block_command_takes_extra_parameters_after_its_trailing_newline(folder: Path) -> None:
    seen = train(folder, DOCKER_ENV + BLOCK_ENTRY_POINT, {"epochs": "7", "lower_is_better": "yes", "extra": 0.5})
    assert seen["lower"] is True
    assert seen["rest"] == ["--epochs", "7", "--extra", "0.5"]
