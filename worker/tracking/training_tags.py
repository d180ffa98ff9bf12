"""Reads what a training reported in its run's tags, cut to what a job's record can keep. Pure.

mypackage writes these tags, but any training can: none of it is trusted.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

from mypackage.protocol import BASE_MODEL_TAGS, DATASET_TAGS, DECISION_TAG, REFUSED_TAG

DECISION_FIELDS = (
    *("promoted", "reason", "metric", "direction", "challenger", "champion", "champion_version"),
    *("model_name", "model_version", "min_delta", "min_value", "datasets", "guardrails", "alias"),
    *("min_confidence", "slices", "on_unscorable", "different_data", "evidence", "unscorable"),
)
DECISION_DEPTH, DECISION_ITEMS = 2, 20  # guardrails, and what is known of each
DATASET_FIELDS = ("repo", "rev", "path", "digest")  # DATASET_TAGS
BASE_MODEL_FIELDS = ("name", "version", "run_id", "source")  # BASE_MODEL_TAGS
REFUSED_MOST, REFUSED_CHARACTERS = 20, 200
USED_CHARACTERS = 2048
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

logger = logging.getLogger(__name__)


def decision_of(tags: Mapping[str, str], run_id: str) -> Mapping[str, Any] | None:
    """Return the gate's decision; None if there is none, or it cannot be read."""
    if DECISION_TAG not in tags:
        return None
    try:
        decision = json.loads(tags[DECISION_TAG])
    except (ValueError, RecursionError):
        decision = None
    if isinstance(decision, dict) and isinstance(decision.get("promoted"), bool):
        return {name: _plain(decision.get(name)) for name in DECISION_FIELDS}
    logger.warning("the run's decision cannot be read", extra={"run_id": run_id})
    return None


def is_number(value: float) -> bool:
    """Return whether the value is a real number. MLflow's SQL store keeps infinity as the largest float."""
    return abs(value) < sys.float_info.max  # false for NaN


def dataset_of(tags: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the dataset that it fetched."""
    return _used(tags, DATASET_TAGS, DATASET_FIELDS)


def base_model_of(tags: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return the model that it started from."""
    return _used(tags, BASE_MODEL_TAGS, BASE_MODEL_FIELDS)


def refused_of(tags: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    """Return what the guard before MLflow refused: call, object, count. Without a guard, a training may set it."""
    try:
        listed = json.loads(tags.get(REFUSED_TAG) or "[]")
        return tuple(_refusal(each) for each in listed[:REFUSED_MOST])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()


def _refusal(said: Mapping[str, Any]) -> Mapping[str, Any]:
    call, what = (UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(said[name])) for name in ("call", "object"))
    return {"call": call[:REFUSED_CHARACTERS], "object": what[:REFUSED_CHARACTERS], "count": int(said["count"])}


def _used(tags: Mapping[str, str], before: str, fields: tuple[str, ...]) -> Mapping[str, str] | None:
    given = {name: tags[f"{before}{name}"] for name in fields if tags.get(f"{before}{name}")}
    return {
        name: UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", each)[:USED_CHARACTERS] for name, each in given.items()
    } or None


def _plain(value: object, depth: int = DECISION_DEPTH) -> str | int | float | dict[str, Any] | None:
    if isinstance(value, str):
        return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, int | float) and is_number(value):
        return value
    if isinstance(value, dict) and depth:
        kept = list(value.items())[:DECISION_ITEMS]
        return {UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", name): _plain(each, depth - 1) for name, each in kept}
    return None
