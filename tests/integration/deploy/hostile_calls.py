"""The calls of a hostile training: every write to the registry, to runs and to files that is not its own."""

from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run

from mypackage.protocol import (
    ATTEMPT_TAG,
    CHAMPION,
    EVALUATE_TAG,
    EVALUATED_TAG,
    FENCED_TAG,
    JOB_TAG,
    REFUSED_TAG,
    REQUEST_TAG,
)
from tests.support.servers.mlflow_guard import token_of

PARENT = "mlflow.parentRunId"
API, API_3, FILES = "/api/2.0/mlflow", "/api/3.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
TRACE = "tr-" + "b" * 32
Call = tuple[str, str, Any]


@dataclass(frozen=True)
class Job:
    """What one job has in MLflow: a run, a logged model, a version that is champion, and files of each."""

    name: str
    run: Run
    model_id: str
    model: str

    @property
    def run_id(self) -> str:
        """The attempt's run."""
        return str(self.run.info.run_id)

    @property
    def run_files(self) -> str:
        """The path of the run's artifacts."""
        return f"{self.run.info.experiment_id}/{self.run_id}/artifacts"

    @property
    def model_files(self) -> str:
        """The path of the logged model's artifacts."""
        return f"{self.run.info.experiment_id}/models/{self.model_id}/artifacts"

    @property
    def token(self) -> str:
        """The token of the attempt."""
        return token_of(self.run_id, job_id=self.name, model_name=self.model)


def on_the_registry(mine: Job, other: Job) -> list[Call]:
    """Calls that decide what is not the training's to decide, about its own model too."""
    both = [
        call
        for job in (mine, other)
        for call in (
            ("POST", f"{API}/registered-models/alias", {"name": job.model, "alias": CHAMPION, "version": "1"}),
            ("DELETE", f"{API}/registered-models/alias", {"name": job.model, "alias": CHAMPION}),
            ("POST", f"{API}/model-versions/transition-stage", {"name": job.model, "version": "1", "stage": "None"}),
            ("DELETE", f"{API}/model-versions/delete", {"name": job.model, "version": "1"}),
            ("DELETE", f"{API}/registered-models/delete", {"name": job.model}),
            ("PATCH", f"{API}/registered-models/update", {"name": job.model, "description": "x"}),
            ("POST", f"{API}/registered-models/rename", {"name": job.model, "new_name": "x"}),
            ("POST", f"{API}/registered-models/set-tag", {"name": job.model, "key": "a", "value": "b"}),
        )
    ]
    source, theirs = f"models:/{mine.model_id}", f"models:/{other.model_id}"
    version = {"name": other.model, "version": "1"}
    return [
        *both,
        ("PATCH", f"{API}/model-versions/update", {**version, "description": "x"}),
        ("POST", f"{API}/model-versions/set-tag", {**version, "key": "a", "value": "b"}),
        ("DELETE", f"{API}/model-versions/delete-tag", {**version, "key": JOB_TAG}),
        ("POST", f"{API}/model-versions/create", {"name": other.model, "source": source, "run_id": mine.run_id}),
        ("POST", f"{API}/model-versions/create", {"name": mine.model, "source": theirs, "run_id": mine.run_id}),
        ("POST", f"{API}/model-versions/create", {"name": mine.model, "source": source, "run_id": other.run_id}),
        ("POST", f"{API}/model-versions/create", {"name": mine.model, "source": f"models:/{other.model}/1"}),
        ("POST", f"{API}/model-versions/create", {"name": mine.model, "source": f"models:/{other.model}@champion"}),
        (
            "POST",
            f"{API}/model-versions/create",
            {"name": mine.model, "source": f"mlflow-artifacts:/{other.model_files}", "run_id": mine.run_id},
        ),
        ("POST", f"{API}/registered-models/create", {"name": "squatted"}),
    ]


def on_runs(mine: Job, other: Job) -> list[Call]:
    """Calls that write to another job's run or model, or forge whose a thing is."""
    run, metric = {"run_id": other.run_id}, {"key": "accuracy", "value": 1.0, "timestamp": 1}
    return [
        ("POST", f"{API}/runs/log-metric", {**run, **metric}),
        ("POST", f"{API}/runs/log-metric", {"run_id": mine.run_id, "run_uuid": other.run_id, **metric}),
        ("POST", f"{API}/runs/log-metric", {"run_id": "", "run_uuid": other.run_id, **metric}),
        ("POST", f"{API}/runs/log-metric", {"runId": other.run_id, **metric}),
        ("POST", f"{API}/runs/log-metric?run_id={mine.run_id}", {**run, **metric}),
        ("POST", f"{API}/runs/log-parameter", {**run, "key": "a", "value": "b"}),
        ("POST", f"{API}/runs/create", {"experiment_id": "0", "tags": [{"key": PARENT, "value": other.run_id}]}),
        ("POST", f"{API}/runs/set-tag", {"run_id": mine.run_id, "key": PARENT, "value": other.run_id}),
        ("PUT", f"{FILES}/{mine.run_files}", b"planted"),  # where the folder is
        ("POST", f"{API}/runs/log-batch", {**run, "metrics": [metric]}),
        ("POST", f"{API}/runs/log-inputs", {**run, "datasets": []}),
        ("POST", f"{API}/runs/log-model", {**run, "model_json": "{}"}),
        ("POST", f"{API}/runs/outputs", {**run, "models": []}),
        ("POST", f"{API}/runs/outputs", {"run_id": mine.run_id, "models": [{"model_id": other.model_id}]}),
        ("POST", f"{API}/runs/update", {**run, "status": "FAILED"}),
        ("POST", f"{API}/runs/set-tag", {**run, "key": "a", "value": "b"}),
        ("POST", f"{API}/runs/delete-tag", {**run, "key": JOB_TAG}),
        ("POST", f"{API}/runs/delete", run),
        ("POST", f"{API}/runs/delete", {"run_id": mine.run_id}),
        *(
            ("POST", f"{API}/runs/set-tag", {"run_id": mine.run_id, "key": key, "value": "x"})
            for key in (JOB_TAG, ATTEMPT_TAG, REQUEST_TAG, FENCED_TAG, REFUSED_TAG, EVALUATE_TAG, EVALUATED_TAG)
        ),
        ("POST", f"{API}/runs/delete-tag", {"run_id": mine.run_id, "key": REFUSED_TAG}),
        ("POST", f"{API}/runs/log-batch", {"run_id": mine.run_id, "tags": [{"key": JOB_TAG, "value": other.name}]}),
        ("POST", f"{API}/runs/create", {"experiment_id": "0", "tags": [{"key": JOB_TAG, "value": other.name}]}),
        ("POST", f"{API}/runs/log-metric", {"run_id": 7, **metric}),
        ("POST", f"{API}/runs/log-metric", metric),
    ]


def on_models_and_files(mine: Job, other: Job) -> list[Call]:
    """Calls that write to another job's logged model, trace, files or experiment, and to what is registered."""
    tags = {"tags": [{"key": "a", "value": "b"}]}
    trace = {"trace_id": TRACE, "trace_location": {"type": 1}, "request_time": "2026-01-01T00:00:00Z"}
    folder, place = f"/api/2.0/mlflow-artifacts/mpu/create/{mine.run_files}", f"mlflow-artifacts:/{other.run_files}"
    return [
        ("POST", f"{API}/logged-models", {"experiment_id": "0", "name": "x", "source_run_id": other.run_id}),
        ("PATCH", f"{API}/logged-models/{other.model_id}", {"model_id": other.model_id, "status": 3}),
        ("PATCH", f"{API}/logged-models/{mine.model_id}", {"model_id": other.model_id, "status": 3}),
        ("PATCH", f"{API}/logged-models/{mine.model_id}", {"modelId": other.model_id, "status": 3}),
        ("POST", f"{API}/logged-models/{other.model_id}/params", {"params": [{"key": "a", "value": "b"}]}),
        ("PATCH", f"{API}/logged-models/{other.model_id}/tags", tags),
        ("PATCH", f"{API}/logged-models/{mine.model_id}/tags", {"tags": [{"key": JOB_TAG}]}),
        ("DELETE", f"{API}/logged-models/{other.model_id}", None),
        ("PUT", f"{FILES}/{other.run_files}/notes.txt", b"planted"),
        ("PUT", f"{FILES}/{other.model_files}/weights.bin", b"planted"),
        ("PUT", f"{FILES}/{mine.model_files}/weights.bin", b"planted"),  # a registered version refers to it
        ("PUT", f"{FILES}/{mine.model_files}/more.bin", b"planted"),
        ("PUT", f"{FILES}/{other.run_files}/{mine.run_files}/notes.txt", b"planted"),
        ("PUT", f"{FILES}/planted.txt", b"planted"),
        ("DELETE", f"{FILES}/{mine.run_files}/notes.txt", None),
        ("POST", f"{folder}", {"path": "../../x", "num_parts": 1}),
        ("POST", f"{folder.replace(mine.run_files, other.run_files)}", {"path": "notes.txt", "num_parts": 1}),
        ("POST", f"{API}/experiments/create", {"name": "x", "artifact_location": place}),
        ("POST", f"{API}/experiments/set-experiment-tag", {"experiment_id": "0", "key": "a", "value": "b"}),
        ("POST", f"{API}/experiments/update", {"experiment_id": "0", "new_name": "x"}),
        ("POST", f"{API}/experiments/delete", {"experiment_id": "0"}),
        ("PATCH", f"{API_3}/traces/{TRACE}/tags", {"key": "a", "value": "b"}),
        ("POST", f"{API_3}/traces", {"trace": {"trace_info": trace, "traceInfo": trace}}),
        ("POST", "/ajax-api/2.0/mlflow/registered-models/alias", {"name": mine.model, "alias": "x", "version": "1"}),
        ("POST", "/graphql", {"query": "{ x }"}),
        ("POST", f"{API}/users/create", {"username": "x", "password": "y"}),
        ("POST", f"{API}/webhooks", {"name": "x", "url": "https://x", "events": []}),
    ]


ATTACKS = {"registry": on_the_registry, "runs": on_runs, "models and files": on_models_and_files}
