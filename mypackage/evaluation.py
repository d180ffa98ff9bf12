"""What a project's entry point ``evaluate`` uses, so that the service compares two models on the same data.

The service runs it for champion and new model, each in an MLflow run of its own. With a function that takes the address
of a model and returns metrics, such as ``def score(model_uri): ...`` in scoring.py, no script is needed:

    entry_points:
      evaluate:
        parameters: {model_uri: string}
        command: "python -m mypackage.evaluation scoring:score {model_uri}"
"""

import csv
import importlib
import math
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.tracking import MlflowClient

from .protocol import RUN_VARIABLE, SCORES_FILE

__all__ = ["log_scores"]

USAGE = "Usage: python -m mypackage.evaluation MODULE:FUNCTION MODEL_URI"


def log_scores(ids: Iterable[Any], scores: Iterable[float], **columns: Iterable[Any]) -> None:
    """Log the model's score of each example, from which the service knows how far a gain may be chance.

    ``ids`` say which example is which, the same for both models. The mean of the ``scores`` is the metric: 1 and 0 for
    an accuracy, absolute errors for a mean absolute error. ``columns`` have one value for each example, by which the
    examples are grouped for the rule ``promotion.slices``: ``log_scores(ids, scores, country=countries)``.

    They go to the active run, else to the one that the service made. Raises ValueError if the lengths differ, an id
    comes twice, or a score is not a number.
    """
    rows = _rows(list(ids), [float(score) for score in scores], {name: list(each) for name, each in columns.items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SCORES_FILE
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["id", "score", *columns], *rows])
        MlflowClient().log_artifact(_run_id(), str(path))


def _rows(ids: Sequence[Any], scores: Sequence[float], columns: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
    lengths = {"ids": len(ids), "scores": len(scores), **{name: len(each) for name, each in columns.items()}}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"There are {said}: each example needs one of each.")
    if len({str(each) for each in ids}) < len(ids):
        raise ValueError("An id comes twice. Give each example one of its own, such as its number or file name.")
    if odd := [str(name) for name, score in zip(ids, scores, strict=True) if not math.isfinite(score)]:
        raise ValueError(f"The score of {odd[0]} is not a number.")
    return [list(row) for row in zip(ids, scores, *columns.values(), strict=True)]


def _run_id() -> str:
    active = mlflow.active_run()
    run_id = active.info.run_id if active else os.environ.get(RUN_VARIABLE)
    return str(run_id) if run_id else str(mlflow.start_run().info.run_id)


def main(arguments: Sequence[str]) -> None:
    """Call the function with the model's address, and log the metrics that it returns."""
    module, _, name = arguments[0].partition(":") if len(arguments) == 2 else ("", "", "")
    if not name:
        raise SystemExit(USAGE)
    sys.path.insert(0, str(Path.cwd()))  # the project's folder, as for a script in it
    metrics = getattr(importlib.import_module(module), name)(arguments[1])
    if not isinstance(metrics, Mapping):
        raise SystemExit(f"{arguments[0]} returned {type(metrics).__name__}, not metrics such as {{'accuracy': 0.9}}.")
    client, run_id = MlflowClient(), _run_id()
    for metric, value in metrics.items():
        client.log_metric(run_id, metric, float(value))


if __name__ == "__main__":
    main(sys.argv[1:])
