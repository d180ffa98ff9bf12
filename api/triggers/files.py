"""Reads the triggers in a folder of YAML files, one each. What is wrong with a file is said without repeating it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from api.http.json_request import MAX_VALUES
from api.http.validation import errors_of
from api.triggers.bodies import TriggerRequest
from shared.requests.texts import Word

SUFFIXES = (".yaml", ".yml")
POLICIES = "policies"  # for `retrain triggers backtest`; no part of the trigger
MAX_BYTES = 1_000_000
VARIABLE = re.compile(r"\$\{(TRIGGER_\w+)\}", re.ASCII)  # as `retrain triggers apply` has it


class WrongFile(Exception):
    """The file has no trigger; the message says why."""


class TriggerOfFile(TriggerRequest):
    """A trigger as a file says it: it may be a team's."""

    team: Word | None = None


@dataclass(frozen=True)
class Files:
    """What a folder has: the triggers of its files, and what is wrong with the others, both by the files' names."""

    triggers: Mapping[str, TriggerOfFile] = field(repr=False)
    wrong: Mapping[str, str]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Return by name when each file was changed and how long it is; raise OSError if the folder cannot be read."""
    found = {path.name: path.stat() for path in _files(folder)}
    return {name: (each.st_mtime_ns, each.st_size) for name, each in found.items()}


def read_files(folder: Path, environment: Mapping[str, str]) -> Files:
    """Read all files; raise OSError if the folder cannot be read."""
    triggers: dict[str, TriggerOfFile] = {}
    wrong: dict[str, str] = {}
    for path in _files(folder):
        try:
            trigger = _read(path, environment)
            if trigger.name in {each.name for each in triggers.values()}:
                raise WrongFile(f"another file has the name {trigger.name!r}, too")
            triggers[path.name] = trigger
        except WrongFile as error:
            wrong[path.name] = str(error)
    return Files(triggers, wrong)


def _files(folder: Path) -> Iterator[Path]:
    names = (each for each in folder.iterdir() if each.suffix in SUFFIXES and not each.name.startswith("."))
    yield from sorted(names)


def _read(path: Path, environment: Mapping[str, str]) -> TriggerOfFile:
    written = {name: value for name, value in _parse(path).items() if name != POLICIES}
    try:
        body = _with_variables(written, environment, count(1))
    except RecursionError:
        raise WrongFile("it is nested too deep") from None
    try:
        trigger = TriggerOfFile.model_validate(body)
    except ValidationError as error:
        raise WrongFile("; ".join(each.message for each in errors_of(error, TriggerOfFile, "body", body))) from None
    if trigger.when.kind.is_sent and trigger.secret is None:
        raise WrongFile("it has no secret for its senders; write secret: ${TRIGGER_…}, and set that variable")
    return trigger


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WrongFile(f"it is longer than {MAX_BYTES} bytes")
        value = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError):
        raise WrongFile("it cannot be read") from None
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise WrongFile(f"it is not YAML{place}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise WrongFile("it is not YAML") from None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise WrongFile("it does not have the fields of POST /triggers: name, template, when, policy")
    return value


def _with_variables(value: Any, environment: Mapping[str, str], numbers: Iterator[int]) -> Any:
    """Return the value with variables in its texts. YAML's aliases can make few lines into very many values."""
    if next(numbers) > MAX_VALUES:
        raise WrongFile(f"it has more than {MAX_VALUES} values")
    match value:
        case dict():
            return {name: _with_variables(each, environment, numbers) for name, each in value.items()}
        case list():
            return [_with_variables(each, environment, numbers) for each in value]
        case str():
            return VARIABLE.sub(lambda found: _variable(found[1], environment), value)
    return value


def _variable(name: str, environment: Mapping[str, str]) -> str:
    if name not in environment:
        raise WrongFile(f"the API has no variable {name}")
    return environment[name]
