"""Reads what is recorded of a trigger: tolerant of other versions' fields, as a job's request is read."""

from collections.abc import Mapping
from typing import Any

from shared.requests.records import as_recorded
from shared.triggers.fields import Policy, When


def policy_of(record: Mapping[str, Any]) -> Policy:
    """Return the policy; nothing is validated again."""
    return as_recorded(Policy, record)


def when_of(record: Mapping[str, Any]) -> When:
    """Return the condition; nothing is validated again."""
    return as_recorded(When, record)
