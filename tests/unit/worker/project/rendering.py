"""A command with its values, and what a shell makes of it."""

import subprocess
from pathlib import Path

from worker.project.entry_points import EntryPoint, Parameter, render
from worker.project.parameter_values import ParameterValue


def entry_point(command: str, **types: str) -> EntryPoint:
    return EntryPoint("main", command, tuple(Parameter(name, type_) for name, type_ in types.items()))


def rendered(type_: str, value: ParameterValue) -> str:
    return render(entry_point("run {value}", value=type_), {"value": value}).parameters["value"]


def shell(command: str, folder: Path) -> str:
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    ).stdout
