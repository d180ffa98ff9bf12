"""Triggers as a store would return them."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from shared.jobs.triggers import Trigger, TriggerState
from shared.requests.records import without_defaults
from shared.triggers.fields import Policy, When

CREATED_AT = datetime(2030, 1, 1, tzinfo=UTC)
REQUEST = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git", "model_name": "iris-classifier"}


def trigger_of(
    when: When,
    policy: Policy | None = None,
    *,
    name: str = "nightly",
    created_at: datetime = CREATED_AT,
    **changes: Any,
) -> Trigger:
    """Return a trigger that was created then and has not been looked at."""
    known: dict[str, Any] = {
        **dict.fromkeys(each.name for each in fields(Trigger)),
        "id": "1",
        "name": name,
        "version": 1,
        "kind": when.kind,
        "template": REQUEST,
        "when": as_recorded_when(when),
        "policy": (policy or Policy()).model_dump(mode="json"),
        "state": TriggerState.ACTIVE,
        "paused_reason": "",
        "seen": {},
        "created_at": created_at,
        "changed_at": created_at,
        "since": created_at,
        "look_at": created_at,
    }
    return Trigger(**{**known, **changes})


def as_recorded_when(when: When) -> dict[str, Any]:
    """Return the condition as it is recorded."""
    return without_defaults(when.model_dump(mode="json"), {})
