"""The cases: an MLproject file each, in tests/parity/cases, and the values that are given for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from shared.requests.texts import ParameterValue

FOLDER = Path(__file__).parent / "cases"
LOCAL, DOCKER = "local", "docker"
WAYS = (LOCAL, DOCKER)


@dataclass(frozen=True, eq=False)
class Case:
    """One project. ``differs`` says by way why we do something else; nothing where we must do the same."""

    name: str
    project: str
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    entry_point: str = "main"
    entrypoint: str = "none"  # the image's, by its name in images.py
    environment: tuple[Any, ...] = ()  # of docker_env
    ways: tuple[str, ...] = WAYS
    differs: Mapping[str, str] = field(default_factory=dict)

    def mlproject(self, image: str | None) -> str:
        """The file for one way: with an image or without."""
        if image is None:
            return self.project
        docker_env = {"image": image, **({"environment": list(self.environment)} if self.environment else {})}
        return f"{self.project}\n{yaml.safe_dump({'docker_env': docker_env})}"


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
    docker_only = "entrypoint" in told or "environment" in told
    return Case(
        name=f"{group}: {told['name']}",
        project=f"name: case\n{project}",
        parameters=told.get("given", {}),
        entry_point=told.get("entry_point", "main"),
        entrypoint=told.get("entrypoint", "none"),
        environment=tuple(told.get("environment", ())),
        ways=(DOCKER,) if docker_only else tuple(told.get("ways", WAYS)),
        differs=told.get("differs", {}),
    )
