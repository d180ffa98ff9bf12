"""Checks the JSON in a training's request: nothing may make MLflow read or write files of its own machine. Pure."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

PROXIED = "mlflow-artifacts"
# Where MLflow reads a location from: fields, which its parser accepts in both spellings, and a tag of traces.
PLACE_FIELDS = ("artifact_location", "artifactLocation", "artifact_uri", "artifactUri")
PLACE_TAG = "mlflow.artifactLocation"
VERSION_CREATION = "/api/2.0/mlflow/model-versions/create"
# Where a model version's files may be. MLflow itself checks runs:, models: and mlflow-artifacts:.
SOURCES = frozenset({PROXIED, "runs", "models", "s3", "gs", "wasbs", "abfss", "dbfs"})


class Unfit(ValueError):
    """A body that may not pass; the message says why."""


def read_body(path: str, body: bytes) -> dict[str, Any]:
    """Return what this request body says; raise Unfit if it may not pass."""
    if not body:
        return {}
    said = parse(body)
    if path == VERSION_CREATION and not is_source(said.get("source")):
        raise Unfit(f"a model version's source must lie in {_listed(SOURCES)}, not on MLflow's own machine")
    if (place := _wrong_place(said)) is not None:
        raise Unfit(f"'{place}' is not a place for artifacts: leave it out, or say {PROXIED}:/ with a path")
    return said


def parse(body: str | bytes) -> dict[str, Any]:
    """Return the one JSON object that all parsers read in the same way; raise Unfit if it is not one."""
    try:
        text = body.decode() if isinstance(body, bytes) else body
        said = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise Unfit("its body is not one JSON object in UTF-8 with each key once") from error
    if not isinstance(said, dict):
        raise Unfit("its body is not a JSON object")
    return said


def is_proxied(place: Any) -> bool:
    """Return whether artifacts there go through the MLflow server to its own storage, as they do by default."""
    if place in (None, ""):
        return True
    if not isinstance(place, str):
        return False
    parts = urlsplit(place)
    is_free = "artifacts" not in parts.path.split("/")  # no place within those of a run or a model
    return parts.scheme == PROXIED and not parts.netloc and is_free and stays_within(place)


def is_source(source: Any) -> bool:
    """Return whether a model version may have its files there."""
    return isinstance(source, str) and urlsplit(source).scheme in SOURCES and stays_within(source)


def stays_within(place: str) -> bool:
    """Return whether a path leads nowhere above its start, however often it is decoded."""
    while (again := unquote(place)) != place:
        place = again
    return ".." not in place.replace("\\", "/").split("/") and place.isprintable()


def _wrong_place(said: dict[str, Any]) -> str | None:
    """Return the first location in it that is not allowed for artifacts."""
    places = [*(said.get(name) for name in PLACE_FIELDS), *_place_tags(said)]
    return next((str(each)[:200] for each in places if not is_proxied(each)), None)


def _place_tags(said: Any) -> Iterator[Any]:
    """Yield every value of the tag, whether the tag is a key or the value next to one, at any depth."""
    rest = [said]
    while rest:
        each = rest.pop()
        if isinstance(each, dict):
            yield from (value for name, value in each.items() if name == PLACE_TAG)
            if each.get("key") == PLACE_TAG:
                yield each.get("value")
            rest += each.values()
        elif isinstance(each, list):
            rest += each


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) != len(pairs):
        raise Unfit("a key stands there twice")
    return said


def _listed(names: frozenset[str]) -> str:
    return ", ".join(f"{name}:" for name in sorted(names))
