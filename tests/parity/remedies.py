"""Follows what a refusal says, as its reader would: by its text alone. The project that comes of it must run."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.parity.case import Case

Remedy = Callable[[Case, re.Match[str]], Case]


def follow(case: Case, message: str) -> Case | None:
    """Return the case as the message wants it; None if nothing here knows what to do, as its reader would not."""
    for pattern, remedy in REMEDIES.items():
        if found := re.search(pattern, message):
            return replace(remedy(case, found), name=f"{case.name}, as advised")
    return None


def _with_value(case: Case, name: str, value: Any) -> Case:
    return replace(case, parameters={**case.parameters, name: value})


def _without_value(case: Case, name: str) -> Case:
    return replace(case, parameters={each: value for each, value in case.parameters.items() if each != name})


def _in_project(case: Case, old: str, new: str) -> Case:
    changed = re.sub(old, new, case.project)
    assert changed != case.project, f"{old} is not in\n{case.project}"
    return replace(case, project=changed)


def _as_text(case: Case, found: re.Match[str]) -> Case:
    return _with_value(case, found[1], str(case.parameters[found[1]]))


def _renamed(case: Case, found: re.Match[str]) -> Case:
    value = case.parameters[found[1]]
    return _with_value(_without_value(case, found[1]), found[1].replace(found[2], "_"), value)


def _without_format(case: Case, found: re.Match[str]) -> Case:
    if found[2]:
        return _in_project(case, r"\{(\w+)[:!][^}]*\}", r"{\1}")
    return _in_project(case, "main:", f"main:\n    parameters: {{{found[1]}: {{default: 1}}}}")


def _with_image_instead(case: Case, _found: re.Match[str]) -> Case:
    return replace(_in_project(case, r"(python|conda)_env:.*\n", ""), image=True)


def _without_volume(case: Case, found: re.Match[str]) -> Case:
    return _in_project(replace(case, volumes=()), re.escape(found[2]), found[1])


REMEDIES: dict[str, Remedy] = {
    r"parameters\.(\w+) is (?:a list|an object); send it as the text that the program is to get": _as_text,
    r"parameters\.(\w+) is not a finite number; send it as a text": _as_text,
    r"parameters\.(\w+) is null; leave it out for the project's default": lambda case, found: _without_value(
        case, found[1]
    ),
    r"parameters\.(\S+) has '(.)' in its name; MLflow takes letters": _renamed,
    r"parameters\.(\w+) contains an escape character at character \d+; take it out": lambda case, found: _with_value(
        case, found[1], case.parameters[found[1]].replace("\x1b", "")
    ),
    r"Parameter '(\w+)' of type (?:float|int) .* must be a (?:whole )?number. Change it": lambda case, found: (
        _with_value(case, found[1], 3)
    ),
    r"Parameter '(\w+)' of type bool .* true or false .* Change it": lambda case, found: _with_value(
        case, found[1], True
    ),
    r"Parameter '(\w+)' .* must be a URI, such as (\S+)\. Change it": lambda case, found: _with_value(
        case, found[1], found[2]
    ),
    r"leaves the project's folder, which a parameter of type string may": lambda case, _: _in_project(
        case, r"\bpath\b", "string"
    ),
    r"needs a value for (\w+)\. Give it in the request": lambda case, found: _with_value(case, found[1], "1"),
    r"cannot be filled in: \{(\w+)\}( and a format)? is not .* write a parameter without a format": _without_format,
    r"has no entry point '\w+' \(it has: (\w+)\)": lambda case, found: replace(case, entry_point=found[1]),
    r"copies the variable .* take it out of docker_env": lambda case, _: replace(case, environment=()),
    r'write it as \["(\w+)", "(\w+)"\]': lambda case, found: replace(case, environment=([found[1], found[2]],)),
    r"In its MLproject file, write docker_env with an image in the place of python_env": _with_image_instead,
    r"takes only one; .* keep docker_env and take (\w+) out": lambda case, found: _in_project(
        case, rf"{found[1]}:.*\n", ""
    ),
    r"names a (\w+) file .* Correct the name": lambda case, found: _in_project(
        case, rf"{found[1]}:.*\n", f"{found[1]}: env.sh\n"
    ),
    r"Take the volume out of docker_env, and use (\S+) in place of (\S+)\.": _without_volume,
    r"leave it out of the image": lambda case, _: replace(case, entrypoint="none"),
    r"has nothing under parameters of .*; take that line out": lambda case, _: _in_project(
        case, r"\s+parameters:\n", "\n"
    ),
    r"cannot read: '(\w+)'; write it as (\{type: .*\})": lambda case, found: _in_project(
        case, rf"{found[1]}: \S+", f"{found[1]}: {found[2]}"
    ),
}
