"""Says of a trigger in words what it waits for, what happened last, and what comes next."""

from collections.abc import Iterator
from json import dumps
from typing import Any

import click

from ...plain_text import plain_line

SENT_TO = {
    "git": "a git host sends a push to /hooks/github, /hooks/gitlab or /hooks/gitea",
    "registry": "MLflow sends a change to /hooks/mlflow",
}


def tell(text: str) -> None:
    """Print a line."""
    click.echo(plain_line(text))


def condition(trigger: dict[str, Any]) -> str:
    """Return what it waits for, on one line."""
    when = trigger["when"]
    asked, kind = when.get(trigger["kind"]), trigger["kind"]
    if kind == "cron":
        return f"cron {asked} ({when.get('time_zone', 'UTC')})"
    if kind == "every":
        return f"every {asked} s"
    told = ", ".join(f"{name} {plainly(value)}" for name, value in (asked or {}).items() if value is not None)
    return f"{kind} {told}".strip()


def why(trigger: dict[str, Any], event: dict[str, Any] | None, *, at: str | None = None) -> Iterator[str]:
    """Yield sentences: the state, what happened last (by ``at``), and what comes next (unless ``at`` is given)."""
    yield f"Trigger {trigger['name']}: {condition(trigger)}."
    yield _last(event, at)
    if at is None:
        yield from _next(trigger)


def _last(event: dict[str, Any] | None, at: str | None) -> str:
    by = f"By {at}" if at else "Last"
    if event is None:
        return f"{by}: nothing had happened that is still known." if at else f"{by}: nothing has happened yet."
    times = f" ({event['times']} times in a row, since {_shown(event['at'])})" if event["times"] > 1 else ""
    made = f", job {event['job_id']}" if event["job_id"] else ""
    return f"{by}: {_shown(event['last_at'])} {event['outcome']}{made}: {_reason(event)}{times}."


def _reason(event: dict[str, Any]) -> str:
    """Return the reason without a word that stands before it already, and without a full stop of its own."""
    said = str(event["reason"]).removeprefix(f"{event['outcome']}: ")
    return said.removesuffix(".")


def _next(trigger: dict[str, Any]) -> Iterator[str]:
    name, pause = trigger["name"], trigger["pause"]
    if pause:
        yield f"All triggers are paused since {_shown(pause['since'])}{_because(pause)}: retrain triggers resume --all."
    if trigger["state"] == "paused":
        because = _because({"reason": trigger["paused_reason"]})
        yield f"It is paused since {_shown(trigger['paused_at'])}{because}: retrain triggers resume {name}."
    if pause or trigger["state"] == "paused":
        return
    event = trigger["last_event"] or {}
    if event.get("outcome") == "waiting":
        until = f" until {_shown(event['until'])}" if event["until"] else ""
        yield f"Next: event {event['number']} waits{until}."
    elif trigger["next_at"]:
        yield f"Next: {_shown(trigger['next_at'][0])}."
    elif trigger["look_at"]:
        yield f"Next: a worker looks at {_shown(trigger['look_at'])}."
    else:
        yield f"Next: when {SENT_TO.get(trigger['kind'], f'something is sent to /triggers/{name}/signal')}."


def _because(said: dict[str, Any]) -> str:
    return f" ({said['reason']})" if said["reason"] else ""


def _shown(at: str) -> str:
    """Return a time of the API to the second."""
    return f"{at[:19]}Z"


def plainly(value: Any) -> str:
    """Return a value of a record on one line."""
    return value if isinstance(value, str) else dumps(value)
