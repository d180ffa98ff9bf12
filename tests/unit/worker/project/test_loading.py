"""Our reader of MLproject files against MLflow's own, on every project of the parity table."""

import os
from pathlib import Path
from typing import Any

import mlflow.projects.utils as mlflow_projects
import pytest

from shared.errors import UserError
from tests.parity.case import DOCKER, LOCAL, WAYS, Case, load_cases
from worker.project.entry_points import Project
from worker.project.loading import load_project

IMAGE = {LOCAL: None, DOCKER: "case:1"}
CASES = load_cases()


@pytest.mark.parametrize("way", WAYS)
def test_a_project_says_the_same_to_mlflow(way: str, tmp_path: Path) -> None:
    compared = 0
    for number, case in enumerate(CASES):
        folder = tmp_path / str(number)
        write(case, way, folder)
        try:
            ours = load_project(folder)
        except UserError:
            continue
        compared += 1
        assert told_by_us(ours) == told_by_mlflow(folder), case.name
    assert compared >= 100


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "name: 3",
        "name:",
        "python_env: sub/env.yaml",
        "conda_env: ./sub/env.yaml",
        "docker_env: {image: a, environment: [[A, 1], B], volumes: ['/a:/b']}",
        "entry_points: {a: {command: a, parameters: {1: float, b: {default: 0}, c: {type: path}, d: {default: ''}}}}",
        "entry_points: {a: {command: a, parameters: {b: {default: [1, x]}, c: {default: {k: v}}, d: {default: null}}}}",
        "entry_points: {a: {command: a, parameters: {b: {default: 1e5}, c: {default: yes}, d: {default: 2024-01-02}}}}",
    ],
)
@pytest.mark.parametrize("there", [(), ("python_env.yaml",), ("conda.yaml",), ("conda.yaml", "python_env.yaml")])
def test_so_does_each_form_of_a_field(text: str, there: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("sub/env.yaml", *there):
        (tmp_path / name).write_text("name: env\n")
    (tmp_path / "MLproject").write_text(text)
    assert told_by_us(load_project(tmp_path)) == told_by_mlflow(tmp_path)


def write(case: Case, way: str, folder: Path) -> None:
    folder.mkdir()
    for name, text in case.files.items():
        if not text.startswith("-> ") and not name.endswith("/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    (folder / "MLproject").write_text(case.mlproject(IMAGE[way]))


def told_by_us(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "image": project.image,
        "volumes": list(project.volumes),
        "environment": [each.name if each.value is None else [each.name, each.value] for each in project.environment],
        "packages": project.packages,
        "entry_points": {
            name: (each.command, [(one.name, one.type, one.default) for one in each.parameters])
            for name, each in project.entry_points.items()
        },
    }


def told_by_mlflow(folder: Path) -> dict[str, Any]:
    """As text where MLflow makes text of it later."""
    loaded: Any = mlflow_projects.load_project(str(folder))  # type: ignore[no-untyped-call]
    docker_env = loaded.docker_env or {}
    environment = docker_env.get("environment") or []
    return {
        "name": str(loaded.name or "unnamed"),
        "image": docker_env.get("image"),
        "volumes": docker_env.get("volumes") or [],
        "environment": [each if isinstance(each, str) else [each[0], str(each[1])] for each in environment],
        "packages": os.path.relpath(loaded.env_config_path, folder) if loaded.env_config_path else None,
        "entry_points": {
            name: (
                each.command,
                [
                    (str(one.name), one.type, None if one.default is None else str(one.default))
                    for one in each.parameters.values()
                ],
            )
            for name, each in loaded._entry_points.items()
        },
    }
