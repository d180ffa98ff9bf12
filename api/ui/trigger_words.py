"""Says in words what a trigger waits for, what keeps it from firing, and what became of what happened. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from cronsim import CronSim

from shared.jobs.triggers import Outcome
from shared.triggers.fields import SECONDS_OF_A_LOOK

UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
OUTCOMES = {
    Outcome.FIRED: "a job was started",
    Outcome.SKIPPED: "no job: skipped",
    Outcome.WAITING: "waits",
    Outcome.SUPERSEDED: "no job: a later one came",
    Outcome.MISSED: "no job: missed",
    Outcome.UNCHANGED: "looked: nothing new",
    Outcome.UNREACHABLE: "looked: no answer",
    Outcome.REFUSED: "not accepted",
}
# The policy's fields, as a backtest names them.
RULES = {
    "cooldown": "too soon after the last",
    "skip_if_same_inputs": "nothing new to train on",
    "if_running": "one was still running",
    "window": "outside its window",
    "max_per_day": "enough for the day",
    "jitter": "its delay had not passed",
    "disable_after": "too many failures",
}
WHILE_RUNNING = {
    "skip": "Nothing is started while a job of it has not ended.",
    "queue": "A job is started also while another has not ended; it queues.",
    "cancel_older": "A new job cancels the one that has not ended.",
}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def when_in_words(when: Mapping[str, Any]) -> str:
    """Return when it fires, as in "Every 6 hours"."""
    kind = next((name for name in SAID if when.get(name) is not None), None)
    return SAID[kind](when) if kind else "By something that this version does not know"


def policy_in_words(policy: Mapping[str, Any]) -> list[str]:
    """Return what keeps it from firing, a sentence for each part."""
    return list(_policy(policy))


def duration(seconds: float) -> str:
    """Return the time in its largest whole unit, as in "90 minutes"."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size and seconds % size == 0), UNITS[-1])
    count = seconds / size
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


def about(seconds: float) -> str:
    """Return roughly how long that is, as in "3.2 days"."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    count = round(seconds / size, 1)
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


def _cron(when: Mapping[str, Any]) -> str:
    words = CronSim(str(when["cron"]), datetime(2000, 1, 1)).explain()  # noqa: DTZ001 - only its words
    return f"{words} ({when.get('time_zone') or 'UTC'})"


def _dataset(when: Mapping[str, Any]) -> str:
    moved = when["dataset"]
    every = duration(moved.get("look_every_seconds") or SECONDS_OF_A_LOOK)
    return f"When {moved.get('address') or 'the dataset of its template'} changes; looked at every {every}"


def _git(when: Mapping[str, Any]) -> str:
    branches = when["git"].get("branches") or ["*"]
    which = "any branch" if branches == ["*"] else f"branch {' or '.join(branches)}"
    return f"On a push to {which} of {when['git']['repository']}"


def _registry(when: Mapping[str, Any]) -> str:
    change = when["registry"]
    if change.get("event") == "alias_moved":
        return f"When the alias {change.get('alias') or '(any)'} of model {change['model']} is set"
    return f"When model {change['model']} gets a new version"


def _job(when: Mapping[str, Any]) -> str:
    after = when["job"]
    whose = f"of trigger {after['trigger']}" if after.get("trigger") else f"for model {after.get('model')}"
    return f"After a job {whose} has succeeded"


def _signal(when: Mapping[str, Any]) -> str:
    metric = when["signal"].get("metric")
    bound = _bound(when["signal"])
    if not metric and not bound:
        return "On a signal"
    return f"On a signal with {metric or 'a value'} {bound}".rstrip()


def _observations(when: Mapping[str, Any]) -> str:
    seen = when["observations"]
    return f"When {seen['metric']} of model {seen['model']} is observed {_bound(seen)}"


def _bound(bounds: Mapping[str, Any]) -> str:
    found = [f"{side} {bounds[side]:g}" for side in ("below", "above") if bounds.get(side) is not None]
    return " or ".join(found)


SAID = {
    "cron": _cron,
    "every": lambda when: f"Every {duration(when['every'])}",
    "dataset": _dataset,
    "git": _git,
    "registry": _registry,
    "job": _job,
    "signal": _signal,
    "observations": _observations,
}


def _policy(policy: Mapping[str, Any]) -> Iterator[str]:
    zone = policy.get("time_zone") or "UTC"
    if policy.get("cooldown"):
        yield f"At least {duration(policy['cooldown'])} between two firings."
    if policy.get("window"):
        yield f"Only {_window(policy['window'])} ({zone})."
    if policy.get("max_per_day"):
        yield f"At most {policy['max_per_day']} a day ({zone})."
    if policy.get("skip_if_same_inputs"):
        yield "Nothing is started if there is nothing new to train on."
    if policy.get("if_running"):
        yield WHILE_RUNNING.get(policy["if_running"], policy["if_running"])
    if policy.get("jitter"):
        yield f"Delayed by up to {duration(policy['jitter'])}, so that many do not start together."
    if policy.get("catch_up") == "once":
        yield "Times that were missed are made up for, once for all."
    if policy.get("disable_after"):
        yield f"Paused after {policy['disable_after']} failed jobs in a row."


def _window(window: Mapping[str, Any]) -> str:
    days = [day for day in DAYS if day in (window.get("days") or ())]
    on = f" on {', '.join(day.capitalize() for day in days)}" if days else ""
    return f"from {window['hours'].replace('-', ' to ')}{on}" if window.get("hours") else on.strip()
