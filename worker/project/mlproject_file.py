"""Checks an MLproject file before MLflow reads it: no link may lead to a host file, and errors are in plain words."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.errors import Code, UserError

NAME = "mlproject"  # in any case, as MLflow finds it
MAX_BYTES = 64 * 1024
MAX_ALIASES = 20  # YAML's aliases and merge keys multiply: a hundred of them exhaust any memory
MAX_DEPTH = 50
LISTED_NAMES = 20
SHOWN_CHARACTERS = 100
SCALARS = (str, int, float, bool)
OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
ENVIRONMENT_FILES = ("python_env", "conda_env")


def check_project_file(folder: Path) -> None:
    """Raise INVALID_PROJECT unless the folder has one MLproject file that MLflow can load."""
    path = _find(folder)
    problem = _problem_with_link(path, folder) or _problem_with_text(path) or _problem_with_document(path, folder)
    if problem:
        raise UserError(Code.INVALID_PROJECT, f"The {path.name} file {problem}.", file=path.name)


def _find(folder: Path) -> Path:
    names = sorted(path.name for path in folder.iterdir() if path.name != ".git") if folder.is_dir() else []
    found = [name for name in names if name.lower() == NAME]
    if len(found) == 1:
        return folder / found[0]
    there = ", ".join(names[:LISTED_NAMES]) + (", …" if len(names) > LISTED_NAMES else "")
    if found:
        message = f"The folder has more than one MLproject file: {', '.join(found)}. Keep one."
    else:
        message = f"The folder has no MLproject file (it has: {there or 'nothing'}). Check MLproject_location."
    raise UserError(Code.INVALID_PROJECT, message, names=tuple(names[:LISTED_NAMES]))


def _problem_with_link(path: Path, folder: Path) -> str | None:
    if not _stays_inside(path, folder):
        return "is a link that leads out of the project's folder; put the file itself there"
    if not path.is_file():
        return "is not a file"
    if path.stat().st_size > MAX_BYTES:
        return f"is larger than {MAX_BYTES} bytes"
    return None


def _stays_inside(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name that no file system accepts
        return False


def _problem_with_text(path: Path) -> str | None:
    """Read only the tokens, and stop early: it is building the document that a hostile file exploits."""
    depth = aliases = 0
    plain: dict[str, bool] = {}  # which anchors stand for one value only: their aliases multiply nothing
    anchor: str | None = None
    try:
        for token in yaml.scan(path.read_text(encoding="utf-8")):
            depth += isinstance(token, OPENING) - isinstance(token, CLOSING)
            if isinstance(token, yaml.AnchorToken):
                anchor = token.value
            elif anchor is not None and not isinstance(token, yaml.TagToken):
                plain[anchor], anchor = _is_short(token), None
            aliases += isinstance(token, yaml.AliasToken) and not plain.get(token.value, False)
            if depth > MAX_DEPTH or aliases > MAX_ALIASES:
                return f"is nested deeper than {MAX_DEPTH} levels or has more than {MAX_ALIASES} YAML aliases"
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except yaml.YAMLError as error:
        return _yaml_problem(error)
    return None


def _is_short(token: yaml.Token) -> bool:
    return isinstance(token, yaml.ScalarToken) and len(token.value) <= SHOWN_CHARACTERS


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"is not YAML: line {error.problem_mark.line + 1}: {str(error.problem)[:SHOWN_CHARACTERS]}"
    return "is not YAML"


def _problem_with_document(path: Path, folder: Path) -> str | None:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        return _yaml_problem(error)
    except (RecursionError, ValueError):  # ValueError: a date such as 2024-99-99
        return "contains a value that YAML cannot read"
    if not isinstance(document, Mapping):
        return "is not a mapping; it needs a name, a docker_env and entry_points"
    return next(_problems(document, folder), None)


def _problems(document: Mapping[Any, Any], folder: Path) -> Iterator[str]:
    if not isinstance(document.get("name", ""), SCALARS):
        yield "has a name that is not a string"
    if "databricks_spark_job" in document:
        yield "describes a databricks_spark_job, which this service does not run"
    yield from _problems_with_environment(document, folder)
    yield from _problems_with_entry_points(document.get("entry_points", {}))


def _problems_with_environment(document: Mapping[Any, Any], folder: Path) -> Iterator[str]:
    docker_env = document.get("docker_env", {})
    if not isinstance(docker_env, Mapping):
        yield "has a docker_env that is not a mapping; it needs an image"
    elif "docker_env" in document and not (isinstance(docker_env.get("image"), str) and docker_env["image"].strip()):
        yield "has no docker_env.image; name the image that the training runs in"
    elif not all(map(_is_variable, _list(docker_env.get("environment")))):
        yield "has a docker_env.environment that is not a list of names and [name, value] pairs"
    elif not all(isinstance(volume, str) for volume in _list(docker_env.get("volumes"))):
        yield "has docker_env.volumes that are not a list of strings"
    for key in ENVIRONMENT_FILES:
        name = document.get(key)
        # MLflow checks whether the file exists: without this, it would reveal whether any file on the worker does.
        if name and not (isinstance(name, str) and _has(folder, name)):
            yield f"names a {key} file that is not in the project's folder"


def _has(folder: Path, name: str) -> bool:
    try:
        return _stays_inside(folder / name, folder) and (folder / name).exists()
    except OSError:  # the name is too long
        return False


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if not value else [None]


def _is_variable(entry: object) -> bool:
    if isinstance(entry, list):
        return len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], SCALARS)
    return isinstance(entry, str)


def _problems_with_entry_points(entry_points: object) -> Iterator[str]:
    if not isinstance(entry_points, Mapping):
        yield "has entry_points that are not a mapping of names to commands"
        return
    for name, entry_point in entry_points.items():
        if not isinstance(name, str) or not isinstance(entry_point, Mapping):
            yield "has an entry point that is not a name with a command"
        elif not isinstance(entry_point.get("command"), str) or not entry_point["command"].strip():
            yield f"has no command for its entry point '{name}'"
        elif not isinstance(entry_point.get("parameters", {}), Mapping):
            yield f"has parameters of its entry point '{name}' that are not a mapping of names to types"
        else:
            yield from (
                f"has a parameter of its entry point '{name}' that MLflow cannot read: "
                f"'{str(parameter)[:SHOWN_CHARACTERS]}'; write it as {{type: float, default: 0.1}}"
                for parameter, wish in entry_point.get("parameters", {}).items()
                if not isinstance(parameter, str) or not _is_parameter(wish)
            )


def _is_parameter(wish: object) -> bool:
    if not isinstance(wish, Mapping):
        return isinstance(wish, str)
    default = wish.get("default")
    return isinstance(wish.get("type", ""), str) and not isinstance(default, (list, dict, set))
