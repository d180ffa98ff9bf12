"""The cases: an MLproject file each, in tests/parity/cases, and the values that are given for it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"
LOCAL, DOCKER = "local", "docker"
WAYS = (LOCAL, DOCKER)


@dataclass(frozen=True, eq=False)
class Case:
    """One project. ``differs`` says by way why we do something else; nothing where we must do the same."""

    name: str
    project: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    entry_point: str = "main"
    entrypoint: str = "none"  # the image's, by its name in images.py
    environment: tuple[Any, ...] = ()  # of docker_env
    volumes: tuple[str, ...] = ()  # likewise
    image: bool = True  # whether it names one, where it is to run in one
    files: Mapping[str, str] = field(default_factory=dict)  # besides those of all; "-> PATH" is a link, "/" a folder
    subfolder: str = ""  # of the MLproject file
    built: bool = False  # MLflow is to copy the project into the image, as `mlflow run --build-image` does
    ways: tuple[str, ...] = WAYS
    differs: Mapping[str, str] = field(default_factory=dict)

    def mlproject(self, image: str | None) -> str:
        """The file for one way: with an image or without."""
        if image is None or not self.image:
            return self.project
        lists = {"environment": list(self.environment), "volumes": list(self.volumes)}
        docker_env = {"image": image, **{name: value for name, value in lists.items() if value}}
        return f"{self.project}\n{yaml.safe_dump({'docker_env': docker_env})}"

    @property
    def built_image(self) -> str:
        """The image that MLflow builds of it, and leaves: it has the project's name."""
        return str(yaml.safe_load(self.project)["name"])

    def body(self, git_uri: str) -> dict[str, Any]:
        """The request, as POST /retrain takes it."""
        return {
            "experiment_name": "case",
            "git_uri": git_uri,
            "MLproject_location": self.subfolder,
            "entry_point": self.entry_point,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True)
class Outcome:
    """What became of a case: the exit code, and what its program saw, as it printed that; or a refusal."""

    exit_code: int | None
    shown: tuple[str, ...] = ()
    refused: str = ""

    def __str__(self) -> str:
        return f"refused: {self.refused}" if self.refused else f"exit {self.exit_code}, {' '.join(self.shown) or '-'}"


def shown_in(output: str) -> tuple[str, ...]:
    """What the project's program printed about itself; the rest is of shells, whose words differ."""
    lines = (line.partition("SHOW ") for line in output.splitlines())
    return tuple(seen for _, mark, seen in lines if mark)


def load_cases() -> list[Case]:
    """All of them."""
    return [
        _case(path.stem, each) for path in sorted(FOLDER.glob("*.yaml")) for each in yaml.safe_load(path.read_text())
    ]


def _case(group: str, told: Mapping[str, Any]) -> Case:
    project = told.get("project")
    if project is None:  # only a command, in its simplest file
        point = {"command": told["command"], **({"parameters": told["declares"]} if "declares" in told else {})}
        project = yaml.safe_dump({"entry_points": {"main": point}}, sort_keys=False, width=10_000)
    docker_only = {"entrypoint", "environment", "volumes", "image", "built"} & set(told)
    built = told.get("built", False)
    return Case(
        name=f"{group}: {told['name']}",
        project=f"name: {f'parity-{secrets.token_hex(4)}' if built else 'case'}\n{project}",
        parameters=told.get("given", {}),
        entry_point=told.get("entry_point", "main"),
        entrypoint=told.get("entrypoint", "none"),
        environment=tuple(told.get("environment", ())),
        volumes=tuple(told.get("volumes", ())),
        image=told.get("image", True),
        files=told.get("files", {}),
        subfolder=told.get("subfolder", ""),
        built=built,
        ways=tuple(told.get("ways", (DOCKER,) if docker_only else WAYS)),
        differs=told.get("differs", {}),
    )
