"""`python -m tests.integration.deploy.filled_mlflow URL`: MLflow's client writes a bit of everything; prints the ids.

A process of its own, because MLflow keeps much of a client in its process.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import mlflow
import pandas as pd  # type: ignore[import-untyped]
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import AssessmentSource, Feedback
from mlflow.models import infer_signature
from mlflow.pyfunc import log_model
from mlflow.pyfunc.model import PythonModel
from mlflow.tracking import MlflowClient


def fill(url: str) -> Mapping[str, Any]:
    """Write it, and return the ids."""
    mlflow.set_tracking_uri(url)
    client = MlflowClient(url)
    experiment = client.create_experiment("rare")
    mlflow.set_experiment(experiment_id=experiment)
    runs = [_run(client, experiment, number) for number in range(2)]
    ids = {"run": runs[0], "other_run": runs[1], "experiment": experiment, "model": _model(runs[0])}
    client.set_registered_model_alias("iris", "champion", "1")
    mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    dataset = mlflow.genai.create_dataset(name="questions", experiment_id=[experiment])
    dataset.merge_records([{"inputs": {"question": "why"}, "expectations": {"answer": "because"}}])
    return {**ids, **_trace(), "dataset": dataset.dataset_id}


def _run(client: MlflowClient, experiment: str, number: int) -> str:
    run: str = client.create_run(experiment, tags={"k": str(number)}).info.run_id
    for step in range(12):
        client.log_metric(run, "loss", 1 / (step + 1 + number), timestamp=step, step=step)
    client.log_param(run, "lr", number)
    client.log_text(run, "text", "some/text.txt")
    client.set_terminated(run)
    return run


def _model(run: str) -> str:
    table = pd.DataFrame({"height": [1.0, 2.0], "kind": ["a", "b"]})
    signature = infer_signature(table[["height"]], table["kind"])
    with mlflow.start_run(run_id=run):
        mlflow.log_input(from_pandas(table, name="flowers"), context="training")
        mlflow.log_table(table, "table.json")
        names = {"name": "model", "registered_model_name": "iris"}
        return str(log_model(**names, python_model=_Same(), signature=signature).model_id)


class _Same(PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


def _trace() -> Mapping[str, str]:
    with mlflow.start_span("asked") as span:
        span.set_inputs({"question": "why"})
    mlflow.flush_trace_async_logging()
    told = Feedback(name="good", value=True, source=AssessmentSource("HUMAN", "ann"))
    assessment = mlflow.log_assessment(trace_id=span.trace_id, assessment=told).assessment_id
    return {"trace": span.trace_id, "assessment": str(assessment)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fill(sys.argv[1])) + "\n")
