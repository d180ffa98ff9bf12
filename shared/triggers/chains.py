"""Finds triggers that would start each other in a circle. Pure; whoever creates or changes one asks here first."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from shared.jobs.promotions import CHAMPION, PREVIOUS
from shared.triggers.patterns import matches

ALIASES_OF_JOBS = (None, CHAMPION, PREVIOUS)  # None: any


class Chained(Protocol):
    """What is needed of a trigger, new or recorded."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def template(self) -> Mapping[str, Any]:
        """The request of its jobs."""

    @property
    def when(self) -> Mapping[str, Any]:
        """Its condition."""


def find_circle(new: Chained, others: Iterable[Chained]) -> tuple[str, ...] | None:
    """Return the names of a circle that ``new`` would close, from it back to it; None if it closes none.

    The others may have an older trigger of the same name, which the new one replaces.
    """
    known = {**{each.name: each for each in others}, new.name: new}
    paths: list[tuple[str, ...]] = [(new.name,)]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        for before in _before(known[path[0]], known.values()):
            if before == new.name:
                return (before, *path)
            if before not in seen:
                seen.add(before)
                paths.append((before, *path))
    return None


def _before(trigger: Chained, known: Iterable[Chained]) -> list[str]:
    """Return the triggers whose jobs start this one's."""
    after = trigger.when.get("job") or {}
    named, model = after.get("trigger"), after.get("model") or _model_that_jobs_change(trigger)
    return [each.name for each in known if each.name == named or _trains(each, model)]


def _trains(trigger: Chained, model: str | None) -> bool:
    name = trigger.template.get("model_name")
    return bool(model and name) and matches(str(model), str(name))


def _model_that_jobs_change(trigger: Chained) -> str | None:
    """Return the model whose changes in the registry start it, if they are such as jobs make themselves."""
    change = trigger.when.get("registry") or {}
    by_people_only = change.get("event") == "alias_moved" and change.get("alias") not in ALIASES_OF_JOBS
    return None if by_people_only else change.get("model")
