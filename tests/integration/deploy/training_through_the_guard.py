"""What trainings do with MLflow. A program of its own, because MLflow keeps its active run in the process."""

import os
from pathlib import Path
from typing import Any

import mlflow
from mlflow.pyfunc.model import PythonModel
from mlflow.tracking import MlflowClient


class Doubles(PythonModel):
    """A model."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return each number twice."""
        return [2 * each for each in model_input]


@mlflow.trace
def answer(question: str) -> str:
    """Return an answer that leaves a trace."""
    return question.upper()


client = MlflowClient()
with mlflow.start_run() as run:
    mlflow.log_param("alpha", 1)
    mlflow.log_metric("loss", 0.5)
    client.log_metric(run.info.run_id, "of the champion", 0.5, model_id=os.environ["OTHER_MODEL"])
    mlflow.set_tags({"made": "here", "retrain.proposal.x": "{}", "dataset.repo": "x"})
    mlflow.log_text("hello", "notes/hello.txt")
    answer("why")
    with mlflow.start_run(nested=True, run_name="nested", tags={"made": "here"}):
        mlflow.log_metric("loss", 0.4)
    info = mlflow.pyfunc.log_model(name="model", python_model=Doubles(), registered_model_name="trained")
    client.set_model_version_tag("trained", info.registered_model_version, "retrain.metric", "loss")
mlflow.flush_trace_async_logging()
mlflow.set_experiment("another")
with mlflow.start_run(run_name="elsewhere", tags={"made": "here"}):
    mlflow.log_metric("loss", 0.3)
    Path("file.txt").write_text("x")
    mlflow.log_artifact("file.txt")
assert mlflow.pyfunc.load_model("models:/trained/1").predict([1.0]) == [2.0]
assert len(mlflow.search_runs()) == 1
