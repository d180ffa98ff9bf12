"""What the service asks of MLflow, over its REST API.

Methods have the names and results of `mlflow.MlflowClient`, which takes this one's place where a server needs more than
it can do (clients.py).
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import requests

from worker.tracking.connection import Access, Connection, Refused
from worker.tracking.records import (
    Experiment,
    FileInfo,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    experiment_in,
    files_in,
    logged_model_in,
    model_in,
    models_in,
    pairs,
    run_in,
    runs_in,
    version_in,
    versions_in,
)

T = TypeVar("T")

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PAIRS_PER_BATCH = 100  # MLflow's limit
MOST_RUNS = 1000
CHUNK_BYTES = 1 << 20


class RestClient:
    """A tracking server's runs and models. Any thread may use it."""

    def __init__(self, access: Access) -> None:
        self.uri = access.uri
        self._connection = Connection(access)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """Return the experiment, deleted or not; None if there is none."""
        try:
            return self._get("experiments/get-by-name", experiment_in, experiment_name=name)
        except Refused as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    def create_experiment(self, name: str) -> str:
        """Return the new experiment's id."""
        return self._post("experiments/create", lambda answer: str(answer["experiment_id"]), {"name": name})

    def create_run(self, experiment_id: str, tags: Mapping[str, str]) -> Run:
        """Return the new run. It is asked for once: after `Unanswered` it may be there or not."""
        body = {
            "experiment_id": experiment_id,
            "user_id": tags.get("mlflow.user", "unknown"),
            "run_name": tags.get("mlflow.runName"),
            "start_time": _now(),
            "tags": pairs(tags),
        }
        return self._post("runs/create", run_in, body, once=True)

    def get_run(self, run_id: str) -> Run:
        """Return the run."""
        return self._get("runs/get", run_in, run_id=run_id)

    def search_runs(self, experiment_ids: Sequence[str], filter_string: str, order_by: Sequence[str]) -> Sequence[Run]:
        """Return the runs that are not deleted."""
        body = {
            "experiment_ids": list(experiment_ids),
            "filter": filter_string,
            "run_view_type": "ACTIVE_ONLY",
            "max_results": MOST_RUNS,
            "order_by": list(order_by),
        }
        return self._post("runs/search", runs_in, body)

    def delete_run(self, run_id: str) -> None:
        """Put the run into the trash."""
        self._do("runs/delete", {"run_id": run_id})

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Log parameters; again is no mistake if the values are the same."""
        every = pairs(params)
        for first in range(0, len(every), PAIRS_PER_BATCH):
            self._do("runs/log-batch", {"run_id": run_id, "params": every[first : first + PAIRS_PER_BATCH]})

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of the run."""
        self._do("runs/set-tag", {"run_id": run_id, "key": key, "value": value})

    def set_terminated(self, run_id: str, status: str) -> None:
        """End the run now, with this status."""
        self._do("runs/update", {"run_id": run_id, "status": status, "end_time": _now()})

    def list_artifacts(self, run_id: str) -> Sequence[FileInfo]:
        """Return the files and folders at the top of the run's artifacts."""
        return self._get("artifacts/list", files_in, run_id=run_id)

    def fetch_artifact(self, artifact_uri: str, path: str, target: Path) -> None:
        """Copy one of the server's files."""
        with self._at_artifact("GET", artifact_uri, path, stream=True) as response, target.open("wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)

    def store_artifact(self, artifact_uri: str, path: str, source: Path) -> None:
        """Store a file with the server."""
        headers = {"Content-Type": "text/plain"}
        with source.open("rb") as file:  # once: what was read of it already cannot be sent again
            self._at_artifact("PUT", artifact_uri, path, once=True, data=file, headers=headers).close()

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """Return the model that a run logged, registered or not."""
        return self._get(f"logged-models/{quote(model_id, safe='')}", logged_model_in)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """Return the model."""
        return self._get("registered-models/get", model_in, name=name)

    def create_registered_model(self, name: str) -> None:
        """Make the model, without versions."""
        self._do("registered-models/create", {"name": name})

    def search_registered_models(self, max_results: int) -> Sequence[RegisteredModel]:
        """Return so many models."""
        return self._get("registered-models/search", models_in, max_results=max_results)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """Return the version."""
        return self._get("model-versions/get", version_in, name=name, version=version)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """Return the version that has the alias."""
        return self._get("registered-models/alias", version_in, name=name, alias=alias)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Give the alias to the version."""
        self._do("registered-models/alias", {"name": name, "alias": alias, "version": version})

    def search_model_versions(
        self, filter_string: str, max_results: int = 1000, order_by: Sequence[str] = ()
    ) -> Sequence[ModelVersion]:
        """Return so many versions."""
        asked = {"filter": filter_string, "max_results": max_results, "order_by": list(order_by)}
        return self._get("model-versions/search", versions_in, **asked)

    def create_model_version(
        self, name: str, source: str, run_id: str, tags: Mapping[str, str], model_id: str | None
    ) -> ModelVersion:
        """Return the model's new version. It is asked for once: after `Unanswered` it may be there or not."""
        body = {"name": name, "source": source, "run_id": run_id, "tags": pairs(tags), "model_id": model_id}
        return self._post("model-versions/create", version_in, body, once=True)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of the version."""
        self._do("model-versions/set-tag", {"name": name, "version": version, "key": key, "value": value})

    def _get(self, path: str, read: Callable[[Any], T], **values: Any) -> T:
        return self._connection.ask("GET", f"{API}/{path}", read, params=values)

    def _post(self, path: str, read: Callable[[Any], T], body: Mapping[str, Any], *, once: bool = False) -> T:
        sent = {name: value for name, value in body.items() if value is not None}
        return self._connection.ask("POST", f"{API}/{path}", read, once=once, json=sent)

    def _do(self, path: str, body: Mapping[str, Any]) -> None:
        self._post(path, lambda _answer: None, body)

    def _at_artifact(self, method: str, artifact_uri: str, path: str, **sent: Any) -> requests.Response:
        return self._connection.send(method, f"{_address_of(artifact_uri, self.uri)}/{quote(path)}", **sent)


def is_with_server(artifact_uri: str) -> bool:
    """Return whether the tracking server itself hands artifacts out, so that nobody else needs a cloud's own login."""
    return urlsplit(artifact_uri).scheme == "mlflow-artifacts"


def _address_of(artifact_uri: str, tracking_uri: str) -> str:
    there, server = urlsplit(artifact_uri), urlsplit(tracking_uri)
    path = re.sub("//+", "/", f"{server.path}{ARTIFACTS}/{there.path}")
    return f"{server.scheme}://{there.netloc or server.netloc}{quote(path.rstrip('/'))}"


def _now() -> int:
    return int(time.time() * 1000)
