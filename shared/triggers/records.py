"""Turns what is written of a trigger into its record and back: tolerant of other versions' fields, as requests are."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from shared.requests.records import as_recorded
from shared.triggers.fields import Policy, When


def policy_of(record: Mapping[str, Any]) -> Policy:
    """Return the policy; nothing is validated again."""
    return as_recorded(Policy, record)


def when_of(record: Mapping[str, Any]) -> When:
    """Return the condition; nothing is validated again."""
    return as_recorded(When, record)


def as_record(written: BaseModel) -> dict[str, Any]:
    """Return what differs from the defaults. Sets are sorted: the same trigger must give the same record."""
    record: dict[str, Any] = _sorted(written.model_dump(mode="json", exclude_defaults=True))
    return record


def _sorted(value: Any) -> Any:
    match value:
        case dict():
            return {name: _sorted(each) for name, each in value.items()}
        case list():
            return sorted(value)
    return value
