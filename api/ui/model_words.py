"""Says in words what happened to a model, and draws how good its versions were."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from api.ui import charts
from api.ui.charts import LineChart, Reference, Series

Told = Mapping[str, Any]  # as the API answers it
SAID = {
    ("decided", "rollback"): "Somebody asked for {version}",
    ("decided", "probation"): "What was observed asks for {version}",
    ("decided", "foreign"): "A move in MLflow itself was noticed",
    ("approval_wanted", "training"): "{version} waits for approval",
    ("approved", "training"): "{version} was approved",
    ("rejected", "training"): "{version} was rejected",
    ("expired", "training"): "Nobody approved {version} in time",
    ("moved", "training"): "{version} became {alias}",
    ("moved", "rollback"): "Rolled back: {version} is {alias}",
    ("moved", "probation"): "Probation not passed: {version} is {alias} again",
    ("moved", "foreign"): "Moved in MLflow itself: {version} is {alias}",
}
KINDS = {
    "training": "a training",
    "rollback": "a person",
    "probation": "what was observed of the champion",
    "foreign": "MLflow itself",
}
STATES = {
    "not_promoted": "not promoted",
    "awaiting_approval": "waits for approval",
    "moving": "is being made champion",
    "promoted": "promoted",
    "rejected": "rejected",
    "expired": "not approved in time",
    "overtaken": "another version was first",
    "impossible": "MLflow refuses it",
}
REFUSED, MOST_POINTS = "not promoted", 200


def said_of(event: Told) -> str:
    """Return what an event of a model's history means, for people."""
    version = f"version {event['version']}" if event["version"] else "no version"
    names = {"version": version, "alias": event["alias"]}
    words = SAID.get((event["event"], event["kind"])) or _other(event)
    told = words.format(**names)
    return told[:1].upper() + told[1:]


def _other(event: Told) -> str:
    match event["event"]:
        case "decided":
            is_refused = str(event["reason"]).startswith(REFUSED)
            return "{version} was refused" if is_refused else "{version} was good enough"
        case "overtaken":
            return "{version} came too late: another one was made {alias} first"
        case "impossible":
            return "{version} cannot be {alias}"
        case word:
            return f"{word.replace('_', ' ')}: {{version}}"


def chart_of(versions: Sequence[Told], champions: Iterable[str], champion: str | None) -> tuple[str, LineChart] | None:
    """Return the metric of most versions, and its values over time; None if there is nothing to draw.

    ``champions`` are the versions that were champion at some time, ``champion`` is the one that is.
    """
    known = [each for each in reversed(versions) if each["metric"] and each["value"] is not None][-MOST_POINTS:]
    if not known:
        return None
    names = [each["metric"] for each in known]
    metric = max(names, key=names.count)
    drawn, were = [each for each in known if each["metric"] == metric], {*champions, champion}
    series = [Series("all versions", [_point(each) for each in drawn])]
    if best := [_point(each) for each in drawn if each["version"] in were]:
        series.append(Series("champions", best))
    now = next((each["value"] for each in drawn if each["version"] == champion), None)
    level = Reference(f"champion, version {champion}", now) if now is not None else None
    return metric, charts.lines(series, reference=level, times=True)


def _point(version: Told) -> tuple[float, float | None]:
    return datetime.fromisoformat(version["created_at"]).timestamp(), version["value"]
