"""Makes a project of an MLproject file as MLflow does, without loading MLflow. What it may say was checked before."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.project.entry_points import EntryPoint, EnvironmentVariable, Parameter, Project
from worker.project.mlproject_file import ENVIRONMENT_FILES, Document, HasFile, read_document

# What MLflow takes for a project's packages where its file names none.
FOUND_BY_NAME = ("python_env.yaml", "conda.yaml")


def load_project(folder: Path, repository: Path | None = None) -> Project:
    """Return what the folder's MLproject file says; raise INVALID_PROJECT saying what is wrong with it.

    ``repository`` is the work tree around the folder, if it is more than that.
    """
    return project_of(read_document(folder, repository), has_file=lambda name: (folder / name).exists())


def project_of(document: Document, *, has_file: HasFile) -> Project:
    """Return the project that an MLproject file describes."""
    docker_env = document.get("docker_env") or {}
    return Project(
        name=str(document.get("name") or "unnamed"),
        image=docker_env.get("image"),
        entry_points={name: _entry_point(name, said) for name, said in document.get("entry_points", {}).items()},
        volumes=tuple(docker_env.get("volumes") or ()),
        environment=tuple(map(_variable, docker_env.get("environment") or ())),
        packages=None if docker_env else _packages(document, has_file),
    )


def _packages(document: Document, has_file: HasFile) -> str | None:
    named = next((str(document[key]) for key in ENVIRONMENT_FILES if document.get(key)), None)
    return os.path.normpath(named) if named else next(filter(has_file, FOUND_BY_NAME), None)


def _entry_point(name: str, said: Mapping[str, Any]) -> EntryPoint:
    return EntryPoint(name, said["command"], tuple(_parameter(*each) for each in said.get("parameters", {}).items()))


def _parameter(name: object, wish: str | Mapping[str, Any]) -> Parameter:
    if isinstance(wish, str):
        return Parameter(str(name), wish)
    default = wish.get("default")
    return Parameter(str(name), wish.get("type", "string"), None if default is None else str(default))


def _variable(entry: str | list[Any]) -> EnvironmentVariable:
    return EnvironmentVariable(entry) if isinstance(entry, str) else EnvironmentVariable(entry[0], str(entry[1]))
