"""Reads an MLproject file, and checks it: no link may lead to a host file, and errors are in plain words."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, cast

import yaml

from shared.addresses.characters import named
from shared.errors import Code, UserError
from worker.project.yaml_growth import growth_of

NAME = "mlproject"  # in any case, as MLflow finds it
MAX_BYTES = 64 * 1024
LISTED_NAMES = 20
SHOWN_CHARACTERS = 100
SCALARS = (str, int, float, bool)
ENVIRONMENT_FILES = ("python_env", "conda_env")
NOT_FOR_PROGRAMS = re.compile(r"[\0\ud800-\udfff]")  # neither a command nor a variable can hold these


Document = Mapping[str, Any]
HasFile = Callable[[str], bool]  # whether there is a file of this name, as seen from the project's folder


def read_document(folder: Path, repository: Path | None = None) -> Document:
    """Return what the folder's one MLproject file says; raise INVALID_PROJECT unless MLflow could load it.

    ``repository`` is the work tree around the folder: what the file names may be in all of that.
    """
    path, around = _find(folder), repository or folder
    if problem := _problem_with_link(path, around):
        raise _invalid(path.name, problem)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(path.name, "is not UTF-8 text") from error
    return parse_document(text, name=path.name, has_file=partial(_has, around, folder))


def parse_document(text: str, *, name: str = "MLproject", has_file: HasFile) -> Document:
    """Return what the text of an MLproject file says; raise INVALID_PROJECT unless MLflow could load it."""
    try:
        problem = growth_of(text)  # before anything is built
        document = None if problem else yaml.safe_load(text)
        repr(document)  # as MLflow and messages print parts of it
    except yaml.YAMLError as error:
        raise _invalid(name, _yaml_problem(error)) from error
    except (RecursionError, ValueError) as error:  # a date such as 2024-99-99, a number of 5000 digits
        raise _invalid(name, "contains a value that YAML cannot read, or nobody can print") from error
    if problem := problem or _problem_with_document(document, has_file):
        raise _invalid(name, problem)
    return cast(Document, document)


def _invalid(name: str, problem: str) -> UserError:
    return UserError(Code.INVALID_PROJECT, f"The {name} file {problem}.", file=name)


def _find(folder: Path) -> Path:
    there = sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.is_dir() else []
    found = [name for name in there if name.lower() == NAME and not _is_folder(folder / name)]
    if len(found) == 1:
        return folder / found[0]
    shown = ", ".join(there[:LISTED_NAMES]) + (", …" if len(there) > LISTED_NAMES else "")
    if found:
        message = f"The folder has more than one MLproject file: {', '.join(found)}. Keep one."
    else:
        message = f"The folder has no MLproject file (it has: {shown or 'nothing'}). Check MLproject_location."
    raise UserError(Code.INVALID_PROJECT, message, names=tuple(there[:LISTED_NAMES]))


def _is_folder(path: Path) -> bool:
    """Return whether it is one itself: a link is judged by where it leads, later."""
    return path.is_dir() and not path.is_symlink()


def _problem_with_link(path: Path, repository: Path) -> str | None:
    if not _stays_inside(path, repository):
        return "is a link that leads out of the repository; put the file itself there"
    if not path.is_file():
        return "is not a file; put the file itself there"
    if path.stat().st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES} bytes"
    return None


def _stays_inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name that no file system accepts
        return False


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"is not YAML: line {error.problem_mark.line + 1}: {str(error.problem)[:SHOWN_CHARACTERS]}"
    return "is not YAML"


def _problem_with_document(document: object, has_file: HasFile) -> str | None:
    if not isinstance(document, Mapping):
        return "is not a mapping; it needs a name, a docker_env and entry_points"
    return _problem_with_strings(document) or next(_problems(document, has_file), None)


def _problem_with_strings(document: Mapping[Any, Any]) -> str | None:
    found = NOT_FOR_PROGRAMS.search("".join(_strings(document)))
    return f"contains {named(found[0])}, which no program can be given; take it out" if found else None


def _strings(document: object) -> Iterator[str]:
    """Yield all strings, those that many aliases stand for once."""
    left, seen = [document], set()
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            left += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            left += value


def _problems(document: Mapping[Any, Any], has_file: HasFile) -> Iterator[str]:
    if not isinstance(document.get("name"), (*SCALARS, NoneType)):
        yield "has a name that is not a string"
    if "databricks_spark_job" in document:
        yield "describes a databricks_spark_job, which this service does not run"
    yield from _problems_with_image(document)
    yield from _problems_with_packages(document, has_file)
    yield from _problems_with_entry_points(document.get("entry_points", {}))


def _problems_with_image(document: Mapping[Any, Any]) -> Iterator[str]:
    docker_env = document.get("docker_env", {})
    if not isinstance(docker_env, Mapping):
        yield "has a docker_env that is not a mapping; it needs an image"
    elif "docker_env" in document and not (isinstance(docker_env.get("image"), str) and docker_env["image"].strip()):
        yield "has no docker_env.image; name the image that the training runs in"
    elif not all(map(_is_variable, _list(docker_env.get("environment")))):
        yield (
            "has a docker_env.environment that is not a list of names and [name, value] pairs; write it as "
            '[["NAME", "value"], "NAME_OF_A_VARIABLE_TO_COPY"]'
        )
    elif composed := next(filter(_is_composed, _list(docker_env.get("environment"))), None):
        name, _, value = composed.partition("=")
        yield (
            f"has '{composed[:SHOWN_CHARACTERS]}' in its docker_env.environment, which MLflow takes for the name of a "
            f"variable to copy; write it as {_pair(name, value)}"
        )
    elif not all(isinstance(volume, str) for volume in _list(docker_env.get("volumes"))):
        yield 'has docker_env.volumes that are not a list of strings; write it as ["/folder:/place:ro"]'


def _problems_with_packages(document: Mapping[Any, Any], has_file: HasFile) -> Iterator[str]:
    """Look at python_env and conda_env, which name files of packages; this service installs none."""
    keys = [key for key in ("docker_env", *ENVIRONMENT_FILES) if key in document]
    if len(keys) > 1:
        yield (
            f"has {' and '.join(keys)}, and MLflow takes only one; where this service trains in containers, keep "
            f"docker_env and take {' and '.join(key for key in keys if key != 'docker_env')} out: the image has the "
            "packages"
        )
    for key in ENVIRONMENT_FILES:
        name = document.get(key)
        # What is outside of the repository counts as missing, or this would reveal which files the worker has.
        if name and not (isinstance(name, str) and has_file(name)):
            yield (
                f"names a {key} file that its repository does not have: '{str(name)[:SHOWN_CHARACTERS]}'. Correct the "
                "name; or, where this service trains in containers, write docker_env with an image in its place"
            )


def _has(repository: Path, folder: Path, name: str) -> bool:
    try:
        return _stays_inside(folder / name, repository) and (folder / name).exists()
    except OSError:  # the name is too long
        return False


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if not value else [None]


def _is_variable(entry: object) -> bool:
    if isinstance(entry, list):
        return len(entry) == 2 and _is_name(entry[0]) and isinstance(entry[1], SCALARS)
    return isinstance(entry, str) and bool(entry)


def _is_name(name: object) -> bool:
    """Return whether a process can have a variable of this name."""
    return isinstance(name, str) and bool(name) and "=" not in name


def _is_composed(entry: object) -> bool:
    """Return whether it is NAME=value, as Docker Compose has it."""
    return isinstance(entry, str) and "=" in entry


def _pair(name: str, value: str) -> str:
    """Return the variable as MLflow has it; JSON, whose quotes and backslashes YAML reads in the same way."""
    return json.dumps([name, value if len(value) <= SHOWN_CHARACTERS else "…"], ensure_ascii=False)


def _problems_with_entry_points(entry_points: object) -> Iterator[str]:
    if entry_points is None:
        yield "has nothing under entry_points; write one there, or take the line out"
    elif not isinstance(entry_points, Mapping):
        yield "has entry_points that are not a mapping of names to commands"
    else:
        for name, entry_point in entry_points.items():
            yield from _problems_with_entry_point(name, entry_point)


def _problems_with_entry_point(name: object, entry_point: object) -> Iterator[str]:
    if not isinstance(name, str) or not isinstance(entry_point, Mapping):
        yield f"has an entry point that is not a name with a command: {_shown(name)}; write it as main: {{command: …}}"
    elif not isinstance(entry_point.get("command"), str) or not entry_point["command"].strip():
        yield f"has no command for its entry point '{name}'; write it in one text, or take the entry point out"
    elif entry_point.get("parameters", {}) is None:
        yield f"has nothing under parameters of its entry point '{name}'; take that line out"
    elif not isinstance(entry_point.get("parameters", {}), Mapping):
        yield f"has parameters of its entry point '{name}' that are not a mapping of names to types"
    else:
        for parameter, wish in entry_point.get("parameters", {}).items():
            yield from _problems_with_parameter(name, parameter, wish)


def _problems_with_parameter(entry_point: str, parameter: object, wish: object) -> Iterator[str]:
    if not isinstance(parameter, SCALARS) or not _is_wish(wish):
        yield (
            f"has a parameter of its entry point '{entry_point}' that MLflow cannot read: {_shown(parameter)}; "
            f"write it as {{type: {_type_of(wish)}}}"
        )


def _is_wish(wish: object) -> bool:
    return isinstance(wish, str) or (isinstance(wish, Mapping) and isinstance(wish.get("type", ""), str))


def _type_of(wish: object) -> str:
    """Return how to write what somebody wrote instead: a default, most likely."""
    if isinstance(wish, bool) or not isinstance(wish, (int, float)):
        return "string"
    return f"{type(wish).__name__}, default: {wish}"


def _shown(value: object) -> str:
    return repr(str(value)[:SHOWN_CHARACTERS])
