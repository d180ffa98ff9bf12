"""The types of text and values in a request."""

import posixpath
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from shared.addresses.characters import named
from shared.addresses.public_text import require_no_credentials

NOT_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
NOT_IN_A_VALUE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # line breaks and tabs may be
NOT_IN_A_PARAMETER_NAME = re.compile(r"[^\w.:/ -]")  # as MLflow has it
LONGEST_TEXT = 6000  # of a parameter, as in MLflow
LONGEST_NAME = 250  # likewise


def no_control_characters(value: str) -> str:
    """Return the text; raise ValueError if it cannot be shown and stored."""
    if found := NOT_TEXT.search(value):
        raise ValueError(f"contains {named(found[0])} at character {found.start() + 1}; take it out")
    return value


def _no_longer_than_any_text(value: str) -> str:
    """Refuse long text early: a field's own limit applies only after all of it was searched for credentials."""
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"must have at most {LONGEST_TEXT} characters")
    return value


def no_control_but_lines_and_tabs(value: str) -> str:
    """Return a parameter's value, such as a query of several lines; raise ValueError if no program should get it."""
    if found := NOT_IN_A_VALUE.search(value):
        what = f"contains {named(found[0])} at character {found.start() + 1}"
        raise ValueError(f"{what}; take it out: of control characters, a value may have only line breaks and tabs")
    return value


def _name_of_a_parameter(value: str) -> str:
    """Return a name that MLflow takes, and that no program reads as another option than it says."""
    if not 1 <= len(value) <= LONGEST_NAME:
        raise ValueError(f"must have a name of at least 1 and at most {LONGEST_NAME} characters")
    if found := NOT_IN_A_PARAMETER_NAME.search(value):
        raise ValueError(
            f"has {named(found[0])} in its name; MLflow takes letters, digits, spaces and _ . - : / in the name of a "
            "parameter"
        )
    if value.startswith("-"):
        raise ValueError("begins with '-'; send the name without it, as dashes are put before it where it is an option")
    if _is_no_plain_path(value):
        raise ValueError("is not a name that MLflow takes: it reads it as a path, which may have no part . or ..")
    return value


def _name_of_a_model(value: str) -> str:
    """Return a name that the registry takes: otherwise it refuses the model after the whole training."""
    if found := re.search("[/:]", value):
        instead = re.sub("[/:]+", "-", value).strip("-")
        raise ValueError(f"has {named(found[0])}, which MLflow's registry refuses in a name; {_such_as(instead)}")
    if not value.strip():
        raise ValueError("is blank; MLflow's registry needs a name")
    if _is_no_plain_path(value):
        raise ValueError("begins with '.' as a path does, which MLflow's registry refuses; begin with a letter")
    return value


def _such_as(name: str) -> str:
    is_shown = name and name.isprintable() and len(name) <= 100
    return f"use another character{f', as in {name}' if is_shown else ''}"


def _is_no_plain_path(name: str) -> bool:
    """Return what MLflow's path_not_unique() does: its stores may keep a name as a file's."""
    plain = posixpath.normpath(name)
    return plain != name or plain == "." or plain.startswith(("..", "/"))


def _one_value(value: Any) -> Any:
    """Refuse what is no single value in one sentence, where each type of the union would add its own."""
    match value:
        case None:
            raise ValueError("is null; leave it out for the project's default, or send the text 'None'")
        case list() | dict():
            kind = "a list" if isinstance(value, list) else "an object"
            raise ValueError(f"is {kind}; send it as the text that the program is to get, such as '[64, 32]'")
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - nan
            raise ValueError("is not a finite number; send it as a text, such as 'nan' or '-inf'")
        case str():  # here, because each type of the union would add what it thinks of it
            return no_control_but_lines_and_tabs(value)
    return value


Text = Annotated[
    StrictStr,
    AfterValidator(_no_longer_than_any_text),
    AfterValidator(no_control_characters),
    AfterValidator(require_no_credentials),
]
ValueText = Annotated[
    StrictStr,
    AfterValidator(_no_longer_than_any_text),
    AfterValidator(require_no_credentials),
]
Name = Annotated[Text, Field(min_length=1, max_length=250)]
ModelName = Annotated[Name, AfterValidator(_name_of_a_model)]
Word = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
HOST_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
ParameterName = Annotated[StrictStr, AfterValidator(_name_of_a_parameter)]  # no lengths: OpenAPI would have new ones
Metric = Annotated[Text, Field(min_length=1, max_length=250)]
Direction = Literal["higher_is_better", "lower_is_better"]
ParameterValue = Annotated[
    StrictBool | StrictInt | StrictFloat | Annotated[ValueText, Field(max_length=LONGEST_TEXT)],
    BeforeValidator(_one_value),
]
