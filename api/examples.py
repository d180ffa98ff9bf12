"""Examples for the OpenAPI document; a test checks them by its schemas. A request's example comes from its fields."""

from typing import Any

from shared.requests.retrain_request import RetrainRequest, with_defaults

REQUEST: dict[str, Any] = {
    name: each.examples[0] for name, each in RetrainRequest.model_fields.items() if each.examples
}

JOB_ID = "5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b"
SHA = "1f0c7a3e5b9d2c4f6a8e0b1d3f5a7c9e2b4d6f80"
RUN = "a1b2c3d4e5f60718293a4b5c6d7e8f90"

DATASET = {
    "repo": "https://github.com/user/iris-data.git",
    "rev": SHA[::-1],
    "path": "iris",
    "digest": "md5:e2bbc930483fa074e36855298dc651d2.dir",
}

BASE_MODEL = {"name": REQUEST["model_name"], "version": "5", "run_id": RUN[::-1], "source": f"models:/m-{RUN[::-1]}"}

REQUESTS: dict[str, Any] = {
    "predecessor": {
        "summary": "The predecessor's body",
        "value": {
            "experiment_name": "vehicle-detection",
            "git_uri": "https://git@github.com/user/repo.git",
            "MLproject_location": "path/to/MLproject/directory",
            "commit_hash": "main",
            "dataset_uri": "",
            "base_model": "",
        },
    },
    "more": {"summary": "With parameters, a model and limits", "value": REQUEST},
}

JOB: dict[str, Any] = {
    "id": JOB_ID,
    "retry_of": None,
    "submitted_by": "ann",
    "team": "vision",
    "trigger": "iris-nightly",
    "triggered_by": {
        "trigger": "iris-nightly",
        "kind": "cron",
        "key": "tick 2026-01-31T12:00:00Z",
        "at": "2026-01-31T12:00:00Z",
        "facts": {"at": "2026-01-31T12:00:00Z"},
    },
    "request_id": "0f8e2d6c4b1a49d7a3c5e9f1b2d4a6c8",
    "state": "succeeded",
    "reason": None,
    "attempts": [
        {
            "number": 1,
            "host": "gpu-1",
            "runner": "docker",
            "container": "9b1d0c6f3f5e",
            "run_id": RUN,
            "gpu_ids": ["0"],
            "exit_code": 0,
            "oom_killed": False,
            "reason": None,
            "started_at": "2026-01-31T12:00:01.250Z",
            "ended_at": "2026-01-31T12:03:44.010Z",
        }
    ],
    "request": with_defaults(REQUEST),
    "had_credentials": False,
    "resolved": {
        "commit_sha": SHA,
        "image": "python:3.11-slim",
        "image_id": f"sha256:{SHA}",
        "dataset": DATASET,
        "base_model_version": BASE_MODEL["version"],
        "base_model": BASE_MODEL,
    },
    "mlflow": {"experiment_id": "3", "run_id": RUN, "url": f"http://127.0.0.1:5007/#/experiments/3/runs/{RUN}"},
    "model": {"name": REQUEST["model_name"], "version": "7"},
    "promotion": {
        "promoted": False,
        "reason": "not promoted: 0.91 < 0.94 (same evaluation data)",
        "metric": "accuracy",
        "direction": "higher_is_better",
        "challenger": 0.91,
        "champion": 0.94,
        "champion_version": "5",
        "datasets": {"challenger": "iris@9f2e", "champion": "iris@9f2e"},
    },
    "metrics": {"accuracy": 0.91},
    "refused": [],
    "priority": 4,
    "queue": {"name": "default", "position": None, "code": None, "blocking": [], "message": None},
    "concurrency_key": f"model:{REQUEST['model_name']}",
    "labels": REQUEST["labels"],
    "created_at": "2026-01-31T12:00:00.000Z",
    "queued_at": "2026-01-31T12:00:00.000Z",
    "started_at": "2026-01-31T12:00:01.250Z",
    "ended_at": "2026-01-31T12:03:44.010Z",
    "next_attempt_at": None,
    "links": {
        "self": f"/jobs/{JOB_ID}",
        "logs": f"/jobs/{JOB_ID}/logs",
        "mlflow": f"http://127.0.0.1:5007/#/experiments/3/runs/{RUN}",
        "flower": f"http://127.0.0.1:5555/task/{JOB_ID}",
    },
    "transitions": [
        {"from": None, "to": "queued", "at": "2026-01-31T12:00:00.000Z", "attempt": 0, "reason": "submitted"},
        {
            "from": "queued",
            "to": "starting",
            "at": "2026-01-31T12:00:01.250Z",
            "attempt": 1,
            "reason": "claimed by gpu-1",
        },
        {
            "from": "starting",
            "to": "running",
            "at": "2026-01-31T12:00:01.900Z",
            "attempt": 1,
            "reason": "started on gpu-1",
        },
        {
            "from": "running",
            "to": "succeeded",
            "at": "2026-01-31T12:03:44.010Z",
            "attempt": 1,
            "reason": "the attempt succeeded",
        },
    ],
}

NEW_JOB: dict[str, Any] = {
    **JOB,
    "submitted_by": "ann",
    "team": "vision",
    "trigger": None,
    "triggered_by": None,
    "state": "queued",
    "attempts": [],
    "resolved": dict.fromkeys(JOB["resolved"]),
    "mlflow": None,
    "model": None,
    "promotion": None,
    "metrics": {},
    "refused": [],
    "started_at": None,
    "ended_at": None,
    "links": {**JOB["links"], "mlflow": None},
    "transitions": JOB["transitions"][:1],
}
