"""Tells what writing a trigger would do, before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from api.access.authorisation import may_see
from api.services import Services
from api.triggers.answers import times_of
from api.triggers.bodies import TriggerRequest
from api.triggers.writing import differences, draft_of
from shared.errors import TriggerExists, TriggerNotFound
from shared.jobs.triggers import Trigger


class Plan(StrEnum):
    """What writing it would do."""

    CREATE = "create"
    CHANGE = "change"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Comparison:
    """What writing it would do, which fields would have other values, and when it would fire first."""

    plan: Plan
    differences: Mapping[str, tuple[Any, Any]]
    next_at: tuple[datetime, ...]


def plan_of(wish: TriggerRequest, services: Services) -> Comparison:
    """Return what writing the trigger would do."""
    before = find_trigger(wish.name, services)
    if before is not None and not may_see(before):
        raise TriggerExists(f"The name {wish.name!r} is taken. Choose another one.", trigger=wish.name)
    source = before.source if before else None
    team = before.team if before else None
    draft = draft_of(wish.name, wish, before, services, source=source, team=team)
    found = differences(before, draft, services)
    plan = Plan.CREATE if before is None else Plan.CHANGE if found else Plan.NOTHING
    now = datetime.now(UTC)
    return Comparison(plan, found, times_of(wish.when, now, anchor=before.created_at if before else now))


def find_trigger(name: str, services: Services) -> Trigger | None:
    """Return the trigger, if there is one."""
    try:
        return services.store.get_trigger(name)
    except TriggerNotFound:
        return None
