"""Checks a parameter's value against its type, and turns it into the text that reaches the command. Pure."""

import posixpath
from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from shared.addresses.characters import named
from shared.errors import Code, UserError
from shared.requests.texts import NOT_IN_A_VALUE

ParameterValue = str | int | float | bool

SHOWN_CHARACTERS = 100
BOOLS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "1", "yes"), True),
    **dict.fromkeys(("false", "0", "no"), False),
}


def text_of(value: ParameterValue, *, name: str, type_: str = "string") -> str:
    """Return the value as the command gets it, before quoting; raise INVALID_PARAMETER if it does not fit the type.

    Types that MLflow does not know are strings, as they are for MLflow.
    """
    convert = CONVERTERS.get(type_, str)
    try:
        text = convert(value)
        _check_characters(text)
    except ValueError as error:
        shown = _shown(value)
        raise UserError(
            Code.INVALID_PARAMETER,
            f"Parameter '{name}' of type {type_} cannot be {shown}: {error}. Change it in the request's parameters.",
            parameter=name,
            type=type_,
            value=shown,
        ) from error
    return text


def is_remote(path: str) -> bool:
    """Return whether MLflow would download this value of a ``path`` parameter before the start."""
    parts = _split(path)
    return bool(parts.scheme) and not (parts.scheme == "file" and not parts.netloc)


def _bool(value: ParameterValue) -> str:
    known = BOOLS.get(value.lower()) if isinstance(value, str) else {0.0: False, 1.0: True}.get(value)
    if known is None:
        raise ValueError("it must be true or false (1, 0, yes and no will do)")
    return value if isinstance(value, str) else str(known)


def _int(value: ParameterValue) -> str:
    problem = "it must be a whole number"
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(problem)
    if isinstance(value, str):
        _parse(int, value, problem)
        return value.strip()
    return str(int(value))


def _float(value: ParameterValue) -> str:
    problem = "it must be a number"
    if isinstance(value, bool):
        raise ValueError(problem)
    if isinstance(value, str):
        _parse(float, value, problem)
        return value.strip()
    return str(value)


def _parse(number: Callable[[str], object], text: str, problem: str) -> None:
    try:
        number(text)
    except ValueError:
        raise ValueError(problem) from None


def _uri(value: ParameterValue) -> str:
    text = str(value)
    if not _split(text).scheme:
        raise ValueError("it must be a URI, such as s3://bucket/folder")
    return text


def _path(value: ParameterValue) -> str:
    """Keep a path as it is: the command runs in the project's folder, and an absolute one is a mounted volume's."""
    text = str(value)
    if is_remote(text):
        return text
    path = unquote(_split(text).path) if text.startswith("file:") else text
    if not path:
        raise ValueError("it must be a path or a URI")
    if not posixpath.isabs(path) and posixpath.normpath(path).split("/")[0] == "..":
        raise ValueError("it leaves the project's folder, which a parameter of type string may")
    # The program that gets it would read a leading dash as an option.
    return f"./{path}" if path.startswith("-") else path


CONVERTERS: Mapping[str, Callable[[ParameterValue], str]] = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "path": _path,
    "uri": _uri,
}


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("it is not a valid URI") from None


def _check_characters(text: str) -> None:
    if found := NOT_IN_A_VALUE.search(text):
        raise ValueError(f"it contains {named(found[0])}")


def _shown(value: ParameterValue) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
