"""The functions for train.py: the gate for a trained model, combinations to search, folders of model versions."""

import os
import shutil
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import mlflow
from mlflow.tracking import MlflowClient

from .flavors import log_model
from .gate.decision import Challenger, DecisionRecord
from .gate.promotion import Promotion
from .gate.registry import model_exists
from .gate.rules import NOTE, merged, read_promotion, rules_of
from .gate.runs import RunEnded, job_run_beside, open_run
from .job_run import job_run_id
from .mlflow_version import require_mlflow
from .protocol import CHAMPION, EVALUATION_TAG, GATE_OF_SERVICE, GATE_VARIABLE, PROMOTION_VARIABLE

__all__ = ["RunEnded", "auto_compare_and_register", "create_new_version_dir", "get_combination"]

require_mlflow(mlflow.__version__)  # here, because the gate is called when hours of training are over

DATASET_CHARACTERS = 250
VERSION_FOLDER = "version"


def auto_compare_and_register(  # noqa: PLR0913 - the first seven are the predecessor's, and users call them so
    model: object,
    eval_metric: Any,
    model_name: str,
    lower: bool | str,
    p_metric: str,
    client: MlflowClient,
    mlflow_model: Any,
    *,
    min_delta: float | None = None,
    min_value: float | None = None,
    eval_dataset: Any = None,
    guardrails: Mapping[str, float] | None = None,
    guardrail_directions: Mapping[str, str] | None = None,
    alias: str = CHAMPION,
    tags: Mapping[str, Any] | None = None,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Any = None,
) -> DecisionRecord:
    """Log the model; register it and make it the champion if it is strictly better than the champion.

    In a job, it proposes the model, and the service decides when the training has ended: what it returns and prints is
    then what is to be expected. Used alone, it decides and moves the alias itself.

    It works in the active run. If none is active, it resumes the run that the service created, even if that has ended
    (after ``with mlflow.start_run()``, or under autolog), or starts one as mlflow.log_metric does; that stays active.
    ``lower`` is True or "true" if a lower ``p_metric`` is better. The decision is printed, returned, and recorded in
    the tags of the run, and always in those of the job's own run. Raises RunEnded if the service has meanwhile given
    this attempt up.

    ``min_delta``: it must be better by more than this. ``min_value``: the worst value that is promoted at all.
    ``eval_dataset``: what it was evaluated on, as "name@digest", (name, digest) or a Dataset of mlflow.data; the
    decision says whether the champion was, too. ``guardrails``: by how much other logged metrics may become worse,
    each in the direction of ``p_metric`` or its own in ``guardrail_directions`` ("lower_is_better",
    "higher_is_better"). ``tags``: those of the new version. The last three are passed to the flavor's log_model.

    The request's ``promotion`` takes precedence over these arguments.
    """
    run_id = open_run(client)
    # First, so that a mistake in another argument does not cost the training its result.
    model_uri = log_model(
        model, mlflow_model, signature=signature, input_example=input_example, pip_requirements=pip_requirements
    )
    value = as_number(eval_metric, p_metric)
    log_last_value(client, run_id, p_metric, value)
    if job_run := job_run_beside(client, run_id):
        log_first_value(client, job_run, p_metric, value)
    dataset = log_dataset(eval_dataset)
    said_here: dict[str, Any] = {
        "metric": p_metric,
        "min_delta": min_delta,
        "min_value": min_value,
        "guardrails": guardrails,
        "guardrail_directions": guardrail_directions,
    }
    is_proposal = os.environ.get(GATE_VARIABLE) == GATE_OF_SERVICE and job_run_id() is not None
    wishes = merged(said_here, read_promotion(os.environ.get(PROMOTION_VARIABLE, "")))
    metrics = {**client.get_run(run_id).data.metrics, p_metric: value}
    metric, is_new_model = wishes["metric"], not model_exists(client, model_name)
    challenger = Challenger(model_name, metric, metrics.get(metric), is_new_model, metrics, dataset)
    # Alone, the gate notes that the data differs, as ever; what is proposed is expected to be judged by all rules.
    data = {} if is_proposal else {"different_data": NOTE}
    rules = rules_of({**data, **wishes}, lower_is_better=is_lower_better(lower))
    promotion = Promotion(client, run_id, challenger, rules, alias)
    if not is_proposal:
        return tell(promotion.decide(model_uri, tags or {}))
    record = promotion.propose(model_uri, tags or {}, said_here)
    return tell(record, "expected: {}. The service decides when this training has ended.")


def tell(record: DecisionRecord, form: str = "{}") -> DecisionRecord:
    """Print the decision's reason and return the decision: the training's own log is where its reader looks."""
    print(form.format(record.reason), flush=True)  # noqa: T201
    return record


def get_combination(*lists: Iterable[Any]) -> list[list[Any]]:
    """Return every combination of one value from each list, the last list varying fastest."""
    return [list(combination) for combination in product(*lists)]


def create_new_version_dir() -> str:
    """Copy version/<N> with the highest N to version/<N+1> and return that; data_and_model_prep fetches the first."""
    numbers = [int(path.name) for path in Path(VERSION_FOLDER).glob("*") if path.name.isdecimal()]
    if not numbers:
        raise FileNotFoundError(f"There is no numbered folder in '{VERSION_FOLDER}', such as {VERSION_FOLDER}/1.")
    newest = max(numbers)
    return str(shutil.copytree(f"{VERSION_FOLDER}/{newest}", f"{VERSION_FOLDER}/{newest + 1}"))


def is_lower_better(lower: bool | str) -> bool:
    """Return the direction that ``lower`` states: a bool, or "true" or "false" in any case."""
    if isinstance(lower, bool):
        return lower
    if isinstance(lower, str) and lower.strip().lower() in ("true", "false"):
        return lower.strip().lower() == "true"
    raise ValueError(f"lower is {lower!r}; it must be True or False, or the text 'true' or 'false'.")


def as_number(eval_metric: Any, p_metric: str) -> float:
    """Return the metric's value as a float; accepts what float() does, including NumPy's and PyTorch's scalars."""
    try:
        return float(eval_metric)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The value of the metric '{p_metric}' is {eval_metric!r}; it must be one number.") from error


def log_dataset(eval_dataset: Any) -> str | None:
    """Record on the run what the model was evaluated on, if known, and return its name."""
    name = dataset_name(eval_dataset)
    if name:
        mlflow.set_tag(EVALUATION_TAG, name)
    return name


def dataset_name(eval_dataset: Any) -> str | None:
    """Return the data as name@digest, from a text, a pair, a mapping, or an object with a name and a digest."""
    match eval_dataset:
        case None | str():
            text = eval_dataset
        case (str() | None as name, str() as digest) | {"name": str() | None as name, "digest": str() as digest}:
            text = f"{name or ''}@{digest}"
        case _ if isinstance(getattr(eval_dataset, "digest", None), str):
            text = f"{getattr(eval_dataset, 'name', None) or ''}@{eval_dataset.digest}"
        case _:
            raise ValueError(f"eval_dataset is {eval_dataset!r:.100}; it must be 'name@digest' or (name, digest).")
    return " ".join(text.split())[:DATASET_CHARACTERS] or None if text else None


def log_last_value(client: MlflowClient, run_id: str, metric: str, value: float) -> None:
    """Make this the run's last value of the metric, because the next challenger is compared with the last one."""
    logged = client.get_run(run_id).data.metrics
    if metric not in logged:
        mlflow.log_metric(metric, value)
    elif logged[metric] != value:
        # For MLflow, the value of the highest step is the last one, so ours comes after a training curve's.
        step = max(point.step for point in client.get_metric_history(run_id, metric)) + 1
        mlflow.log_metric(metric, value, step=step)


def log_first_value(client: MlflowClient, run_id: str, metric: str, value: float) -> None:
    """Log the value on a run without this metric; an existing value may be that of a version."""
    if metric not in client.get_run(run_id).data.metrics:
        client.log_metric(run_id, metric, value)
