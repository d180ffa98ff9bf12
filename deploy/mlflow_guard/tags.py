"""Knows which tags are the service's own: a training neither sets nor deletes them, and the guard puts them in. Pure.

Copies of mypackage in older images set the tag of the job themselves: the right value passes.
"""

import json
from typing import Any

from deploy.mlflow_guard.bodies import Unfit, parse
from mypackage.protocol import (
    ATTEMPT_TAG,
    ENDED_TAG,
    EVALUATE_TAG,
    EVALUATED_TAG,
    FENCED_TAG,
    JOB_TAG,
    REFUSED_TAG,
    REQUEST_TAG,
    ROLLBACK_TAGS,
    TRIGGER_TAG,
    TRIGGERED_BY_TAG,
)
from shared.secrets.attempt_tokens import Grant

MODEL_VERSIONS = "mlflow.modelVersions"  # of a logged model: which versions refer to it; MLflow's clients set it, too
PARENT = "mlflow.parentRunId"
PLACE = "mlflow.artifactLocation"  # of a trace: MLflow's server keeps there where its files are
OURS = frozenset(
    {
        *(JOB_TAG, ATTEMPT_TAG, REQUEST_TAG, TRIGGER_TAG, TRIGGERED_BY_TAG, FENCED_TAG, REFUSED_TAG),
        *(EVALUATE_TAG, EVALUATED_TAG, ENDED_TAG, PLACE),
    }
)

Said = dict[str, Any]


def check(said: Said, grant: Grant) -> None:
    """Raise Unfit if one of the tags in a list is the service's."""
    for each in _pairs(said):
        _check(each.get("key"), each.get("value"), grant)


def check_one(said: Said, grant: Grant) -> None:
    """Raise Unfit if the tag that the request sets or deletes is the service's."""
    _check(said.get("key"), said.get("value"), grant)


def check_text(said: Said, grant: Grant) -> None:
    """Raise Unfit if one of the tags, a mapping as JSON in a text, is the service's."""
    _check_all(_mapping(said), grant)


def parents(said: Said) -> list[str]:
    """Return the runs in which the tags, in a list or as one, nest a run."""
    pairs = [*_pairs(said), *([said] if "key" in said else [])]
    return [str(each.get("value")) for each in pairs if str(each.get("key")).strip() == PARENT]


def with_ours(said: Said, grant: Grant) -> Said:
    """Return the body with the job's tag in its list."""
    check(said, grant)
    theirs = [each for each in _pairs(said) if each.get("key") not in ours(grant)]
    return {**said, "tags": [*theirs, *({"key": name, "value": value} for name, value in ours(grant).items())]}


def with_ours_as_map(said: Said, grant: Grant) -> Said:
    """Return the body with the job's tag in its mapping."""
    tags = said.get("tags") or {}
    if not isinstance(tags, dict):
        raise Unfit("its 'tags' are not an object")
    _check_all(tags, grant)
    return {**said, "tags": {**tags, **ours(grant)}}


def with_ours_as_text(said: Said, grant: Grant) -> Said:
    """Return the body with the job's tag in its mapping, which is JSON in a text."""
    check_text(said, grant)
    return {**said, "tags": json.dumps({**_mapping(said), **ours(grant)})}


def ours(grant: Grant) -> dict[str, str]:
    """Return what says whose a thing is; not the attempt's tag, by which the worker finds the attempt's one run."""
    return {JOB_TAG: grant.job_id}


def _check_all(tags: Said, grant: Grant) -> None:
    for name, value in tags.items():
        _check(name, value, grant)


def _check(name: Any, value: Any, grant: Grant) -> None:
    if not isinstance(name, str):
        raise Unfit("the key of a tag is not a text")
    kept = name.strip()
    is_right = value is not None and ours(grant).get(name) == value
    if (kept in OURS or kept.startswith(ROLLBACK_TAGS)) and not is_right:
        raise Unfit(f"the tag '{kept}' is for the service to set")


def _pairs(said: Said) -> list[Said]:
    pairs = said.get("tags") or []
    if not isinstance(pairs, list) or not all(isinstance(each, dict) for each in pairs):
        raise Unfit("its 'tags' are not a list of objects")
    return pairs


def _mapping(said: Said) -> Said:
    text = said.get("tags") or "{}"
    if not isinstance(text, str):
        raise Unfit("its 'tags' are not JSON in a text")
    return parse(text)
