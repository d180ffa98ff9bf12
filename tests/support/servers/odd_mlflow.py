"""A registry on loopback that speaks MLflow's REST API as far as the API asks, and answers oddly as the test says."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, request

from tests.support.servers.served_app import ServedApp


class OddMlflow:
    """A model with version 2 as champion. ``odd`` are other answers, by path; ``stuck`` aliases do not move."""

    def __init__(self) -> None:
        self.aliases = {"champion": "2"}
        self.odd: dict[str, Any] = {}
        self.stuck: set[str] = set()
        self.gone: set[str] = set()  # versions that were deleted
        self.values = {"1": 0.7, "2": 0.8, "3": 0.9}  # of each version's run
        self.authorization: str | None = None
        app = Flask("odd-mlflow")
        app.add_url_rule("/api/2.0/mlflow/<path:path>", view_func=self._answer, methods=["GET", "POST"])
        self.served = ServedApp(app)

    def _answer(self, path: str) -> Any:
        self.authorization = request.headers.get("Authorization")
        if path in self.odd:
            return self.odd[path]
        if path == "registered-models/alias":
            return self._move(request.get_json()) if request.method == "POST" else self._holder(request.args["alias"])
        return self._read(path)

    def _move(self, body: dict[str, str]) -> Any:
        if body["alias"] in self.stuck:
            return {"error_code": "INTERNAL_ERROR"}, 500
        if body["version"] in self.gone:
            return {"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404
        self.aliases[body["alias"]] = body["version"]
        return {}

    def _holder(self, alias: str) -> Any:
        if alias not in self.aliases:
            return {"error_code": "INVALID_PARAMETER_VALUE"}, 404
        return {"model_version": {"version": self.aliases[alias]}}

    def _read(self, path: str) -> Any:
        if path in ("registered-models/search", "registered-models/get"):
            return self._models(path, request.args.get("name", "iris"))
        if path == "model-versions/search":
            return {"model_versions": [self._version(each) for each in ("2", "1")]}
        if path == "runs/get":
            return self._run(request.args["run_id"])
        if path == "metrics/get-history-bulk-interval":
            return {"metrics": [each for run_id in request.args.getlist("run_ids") for each in self._course(run_id)]}
        return {"model_version": self._version(request.args.get("version", "1"))}

    def _run(self, run_id: str) -> Any:
        if run_id not in self.values:
            return {"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404
        return {"run": {"data": {"metrics": [{"key": "accuracy", "value": self.values[run_id]}], "tags": []}}}

    def _course(self, run_id: str) -> list[dict[str, Any]]:
        """Two points: as MLflow, it sends what is no finite number as text."""
        last = self.values[run_id]
        return [
            {"run_id": run_id, "key": "accuracy", "value": value, "step": step, "timestamp": 1_700_000_000_000 + step}
            for step, value in ((1, last), (0, "NaN"))
        ]

    def _models(self, path: str, name: str) -> Any:
        if name != "iris":
            return {"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404
        model = {"name": "iris", "aliases": [{"alias": a, "version": v} for a, v in self.aliases.items()]}
        return {"registered_models": [model]} if path.endswith("search") else {"registered_model": model}

    @staticmethod
    def _version(version: str) -> dict[str, Any]:
        tags = [{"key": "retrain.job_id", "value": f"job-of-{version}"}]
        return {"version": version, "run_id": version, "creation_timestamp": 1_700_000_000_000, "tags": tags}


@contextmanager
def odd_mlflow() -> Iterator[OddMlflow]:
    """Serve one until the end."""
    mlflow = OddMlflow()
    mlflow.served.start()
    try:
        yield mlflow
    finally:
        mlflow.served.stop()
