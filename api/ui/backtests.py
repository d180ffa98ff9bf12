"""Asks what a trigger would have started in the past, and says it as a picture with its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api.http.errors import FieldError, InvalidRequest
from api.ui.asking import ask
from api.ui.lanes import Lanes, lanes_of
from api.ui.trigger_words import RULES, about
from api.views.triggers.backtest import ITS_OWN, backtest_trigger

DAYS = (1, 7, 30, 90, 365)
USUAL_DAYS = 30


@dataclass(frozen=True)
class Shown:
    """What the template ``backtest_picture.html`` needs."""

    days: int
    compared: Mapping[str, Any]
    lanes: Lanes


def days_of(form: Mapping[str, str]) -> int:
    """Return how far back it is to look; raise InvalidRequest for what is no number of days."""
    given = form.get("days") or str(USUAL_DAYS)
    if not given.isascii() or not given.isdecimal() or len(given) > 4:
        raise InvalidRequest([FieldError("query", "/days", "days is not a number of days", "INVALID")])
    return int(given)


def try_on_the_past(days: int, *, own: str, **body: Any) -> Shown:
    """Return what would have come of it in so many days; ``own`` says how its own policy is called."""
    since = datetime.now(UTC) - timedelta(days=days) + timedelta(minutes=1)  # within what the API looks at
    compared = ask(backtest_trigger, body={"since": since.isoformat(timespec="seconds"), **body})
    return Shown(days, compared, lanes_of(compared, names={ITS_OWN: own}))


def by_rule(counts: Mapping[str, int]) -> str:
    """Return counts by the policy's field in words, the most frequent first."""
    found = sorted(counts.items(), key=lambda each: -each[1])
    return ", ".join(f"{count} {RULES.get(name, name or 'without a rule')}" for name, count in found) or "none"


WORDS = {"by_rule": by_rule, "about": about}
