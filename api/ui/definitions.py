"""Reads what people type as YAML or JSON into the body of a request, and writes it for them to copy."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from api.http.errors import FieldError, InvalidRequest
from api.http.json_request import parse_object

MOST_CHARACTERS = 64_000  # YAML of that length is read in about a second


class _Plain(yaml.SafeLoader):
    """YAML without aliases, which can make few lines into very many values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "write out what the alias (*) stands for", mark)
        return super().compose_node(parent, index)


def read(text: str) -> dict[str, Any]:
    """Return the object that is written there; raise InvalidRequest or MalformedBody saying where it breaks."""
    if len(text) > MOST_CHARACTERS:
        raise _refused(f"it is longer than {MOST_CHARACTERS} characters")
    if text.lstrip().startswith("{"):
        return parse_object(text.encode())
    try:
        return parse_object(json.dumps(yaml.load(text, _Plain) or {}).encode())  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        place = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise _refused(f"it is not YAML{place}: {error.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise _refused("it is not YAML") from None
    except (TypeError, ValueError) as error:  # such as a date, or a name that is a number
        raise _refused(f"it has something that JSON has not ({error}); put dates and the like in quotes") from None


def as_yaml(value: Mapping[str, Any]) -> str:
    """Return it as YAML."""
    text: str = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=100)
    return text


def as_json(value: Mapping[str, Any]) -> str:
    """Return it as JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def leaves(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value with its place, such as template.resources.gpus, for a table."""
    for name, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from leaves(each, f"{before}{name}.")
        else:
            yield f"{before}{name}", each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)


def _refused(why: str) -> InvalidRequest:
    return InvalidRequest([FieldError("body", "", f"The definition cannot be read: {why}.", "MALFORMED")])
