"""Finds the version that is champion, and what it was measured at.

The service uses it, too, and without MLflow's own client: so nothing here imports mlflow.
"""

from collections.abc import Callable
from typing import Any

from ..protocol import CHAMPION, EVALUATION_TAG, FENCED, FENCED_TAG, JOB_RUN_TAG
from .decision import Champion

_NO_SUCH_THING = "RESOURCE_DOES_NOT_EXIST"
_NO_ALIAS = "INVALID_PARAMETER_VALUE"


def find_champion(client: Any, model_name: str, metric: str, *, alias: str = CHAMPION) -> Champion | None:
    """Return the model's champion with its last value of the metric, or None if no version is champion."""
    # The alias of a deleted version also leads nowhere.
    version = _unless(_NO_SUCH_THING, _NO_ALIAS, call=lambda: client.get_model_version_by_alias(model_name, alias))
    if version is None:
        return None
    return _champion(client, str(version.version), version.run_id, metric)


def find_rival(client: Any, model_name: str, version: str, metric: str) -> Champion | None:
    """Return this version as a former or possible champion; None if it is gone, or its attempt was given up."""
    found = _unless(_NO_SUCH_THING, call=lambda: client.get_model_version(model_name, version))
    if found is None:
        return None
    run_ids = {found.run_id, (found.tags or {}).get(JOB_RUN_TAG)}
    runs = [_find_run(client, run_id) for run_id in run_ids if run_id]
    is_given_up = any(is_fenced(run) for run in runs if run is not None)
    return None if is_given_up else _champion(client, version, found.run_id, metric)


def is_fenced(run: Any) -> bool:
    """Return whether the service has given up the attempt of this run."""
    return bool(run.data.tags.get(FENCED_TAG) == FENCED)


def _champion(client: Any, version: str, run_id: str | None, metric: str) -> Champion:
    if not run_id:
        return Champion(version, None, "it was registered without a run")
    run = _find_run(client, run_id)
    if run is None:
        return Champion(version, None, f"its run {run_id} is deleted")
    metrics = {name: float(value) for name, value in run.data.metrics.items()}
    why = "" if metric in metrics else f"its run {run_id} has no metric '{metric}'"
    return Champion(version, metrics.get(metric), why, metrics, run.data.tags.get(EVALUATION_TAG))


def _find_run(client: Any, run_id: str) -> Any:
    # A run in the trash still answers, and is still right about the version in use; only a permanently deleted one does
    # not.
    return _unless(_NO_SUCH_THING, call=lambda: client.get_run(run_id))


def _unless(*codes: str, call: Callable[[], Any]) -> Any:
    """Return what MLflow answers; None if it refuses with one of these codes."""
    try:
        return call()
    except Exception as error:  # each client has a type of its own, and this knows neither
        if getattr(error, "error_code", "") not in codes:
            raise
        return None
