"""What train.py calls: the gate for a trained model, and the combinations of a hyper-parameter search."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import mlflow
from mlflow.tracking import MlflowClient

from .flavors import log_model
from .gate import CHAMPION_ALIAS, Challenger, Champion, Decision, DecisionRecord, decide, is_comparable
from .registry import find_champion, model_exists, register

DECISION_TAG = "retrain.decision"
PROMOTED_TAG = "retrain.promoted"
JOB_TAG = "retrain.job_id"
FENCED_TAG = "retrain.fenced"


class RunEnded(RuntimeError):
    """The service has given this attempt up and started the job anew elsewhere: its model must not be promoted."""


def auto_compare_and_register(
    model: object,
    eval_metric: Any,
    model_name: str,
    lower: bool | str,
    p_metric: str,
    client: MlflowClient,
    mlflow_model: Any,
) -> DecisionRecord:
    """Log the model; register it and make it the champion if it is strictly better than the champion.

    Works in the active run, or starts one as mlflow.log_metric does and leaves it active. ``lower`` is True or
    "true" where a lower ``p_metric`` is better. The decision is printed, returned, and kept in the run's tags.
    Raises RunEnded where the service has given this attempt up meanwhile.
    """
    run_id = (mlflow.active_run() or mlflow.start_run()).info.run_id
    # First of all: a mistake in another argument must not cost the training its result.
    model_uri = log_model(model, mlflow_model)
    lower_is_better = is_lower_better(lower)
    value = as_number(eval_metric, p_metric)
    log_last_value(client, run_id, p_metric, value)

    challenger = Challenger(model_name, p_metric, value, is_new_model=not model_exists(client, model_name))
    tags = _version_tags(client, run_id, challenger)
    record = _pass_gate(challenger, model_uri=model_uri, tags=tags, client=client, lower_is_better=lower_is_better)
    mlflow.set_tags({DECISION_TAG: record.to_json(), PROMOTED_TAG: str(record.promoted).lower()})
    print(record.reason, flush=True)  # noqa: T201 - the training's own log is where its reader looks
    return record


def get_combination(*lists: Iterable[Any]) -> list[list[Any]]:
    """Return every combination that takes one value of each list, the last list varying fastest."""
    return [list(combination) for combination in product(*lists)]


def is_lower_better(lower: bool | str) -> bool:
    """Return the direction that ``lower`` states: a bool, or "true" or "false" in any case."""
    if isinstance(lower, bool):
        return lower
    if isinstance(lower, str) and lower.strip().lower() in ("true", "false"):
        return lower.strip().lower() == "true"
    raise ValueError(f"lower is {lower!r}; it must be True or False, or the text 'true' or 'false'.")


def as_number(eval_metric: Any, p_metric: str) -> float:
    """Return the metric's value as a float; takes what float() takes, NumPy's and PyTorch's scalars too."""
    try:
        return float(eval_metric)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The value of the metric '{p_metric}' is {eval_metric!r}; it must be one number.") from error


def log_last_value(client: MlflowClient, run_id: str, metric: str, value: float) -> None:
    """Make the value the run's last one of the metric: the next challenger is compared with the last one."""
    logged = client.get_run(run_id).data.metrics
    if metric not in logged:
        mlflow.log_metric(metric, value)
    elif logged[metric] != value:
        # MLflow calls the value of the highest step the last one, so ours goes after a training curve's.
        step = max(point.step for point in client.get_metric_history(run_id, metric)) + 1
        mlflow.log_metric(metric, value, step=step)


def _version_tags(client: MlflowClient, run_id: str, challenger: Challenger) -> dict[str, str]:
    tags = {
        "retrain.run_id": run_id,
        "retrain.metric": challenger.metric,
        "retrain.metric_value": repr(challenger.value),
    }
    job_id = client.get_run(run_id).data.tags.get(JOB_TAG)
    return tags | ({JOB_TAG: job_id} if job_id else {})


def _pass_gate(
    challenger: Challenger, *, model_uri: str, tags: Mapping[str, str], client: MlflowClient, lower_is_better: bool
) -> DecisionRecord:
    run_id = tags["retrain.run_id"]
    _require_not_fenced(client, run_id)
    champion = find_champion(client, challenger.model_name, challenger.metric)
    decision = decide(challenger, champion, lower_is_better=lower_is_better)
    version = None
    if decision.promoted:
        version = register(model_uri, challenger.model_name, tags)
        _require_not_fenced(client, run_id)
        # Look again: the registry has no compare-and-set, so a few milliseconds stay open before the alias moves.
        # The service closes them, it trains one job of a model at a time (the concurrency key); this look is for
        # runs and people outside of it.
        champion = find_champion(client, challenger.model_name, challenger.metric)
        decision = decide(challenger, champion, lower_is_better=lower_is_better)
        if decision.promoted:
            client.set_registered_model_alias(challenger.model_name, CHAMPION_ALIAS, version)
        else:
            note = f"another champion came meanwhile; version {version} stays without the alias"
            decision = replace(decision, reason=f"{decision.reason}: {note}")
    return _record(challenger, champion, decision, version=version, lower_is_better=lower_is_better)


def _require_not_fenced(client: MlflowClient, run_id: str) -> None:
    """Refuse where the service has fenced the run: this host was cut off, and another attempt took over."""
    if client.get_run(run_id).data.tags.get(FENCED_TAG) == "true":
        raise RunEnded(f"The service has given up the attempt of run {run_id}: its model is not made champion.")


def _record(
    challenger: Challenger,
    champion: Champion | None,
    decision: Decision,
    *,
    version: str | None,
    lower_is_better: bool,
) -> DecisionRecord:
    return DecisionRecord(
        promoted=decision.promoted,
        reason=decision.reason,
        metric=challenger.metric,
        direction="lower_is_better" if lower_is_better else "higher_is_better",
        challenger=_finite(challenger.value),
        champion=_finite(champion.value) if champion else None,
        champion_version=champion.version if champion else None,
        model_name=challenger.model_name,
        model_version=version,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and is_comparable(value) else None
