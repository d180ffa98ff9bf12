"""Makes a readable table of a request: what was asked, apart from what is a default."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.requests.records import without_defaults
from shared.requests.retrain_request import DEFAULTS, RetrainRequest

NOTHING = "\N{EN DASH}"
ORDER = (*RetrainRequest.model_fields,)
LONGEST_SHOWN, MOST_SHOWN = 300, 100  # characters of a value, rows; the JSON has all of them


@dataclass(frozen=True)
class Field:
    """One field, by its path such as resources.gpus."""

    name: str
    value: str
    is_default: bool


@dataclass(frozen=True)
class Asked:
    """The request as rows, and as JSON that can be sent again."""

    given: tuple[Field, ...]
    left_out: int
    defaults: tuple[Field, ...]
    json: str


def asked(request: Mapping[str, Any]) -> Asked:
    """Return the rows of a request, as in the API's answer: with all defaults filled in."""
    ordered = {name: request[name] for name in sorted(request, key=_place)}
    rows = [*_rows(ordered, DEFAULTS, "")]
    sent = without_defaults(request, DEFAULTS)
    sent = {name: value for name, value in sent.items() if value != {}}
    given = [row for row in rows if not row.is_default]
    return Asked(
        given=tuple(given[:MOST_SHOWN]),
        left_out=max(0, len(given) - MOST_SHOWN),
        defaults=tuple(row for row in rows if row.is_default),
        json=json.dumps(sent, indent=2, ensure_ascii=False),
    )


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _rows(values: Mapping[str, Any], defaults: Any, before: str) -> Iterator[Field]:
    known = defaults if isinstance(defaults, Mapping) else {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _rows(value, known.get(name), f"{before}{name}.")
        else:
            yield Field(f"{before}{name}", in_words(value), name in known and value == known[name])


def in_words(value: Any) -> str:
    """Return a value as people read it."""
    match value:
        case None:
            return NOTHING
        case str():
            text = value or "(empty)"
        case list():
            text = ", ".join(map(str, value)) or "none"
        case {}:
            text = "none"
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
