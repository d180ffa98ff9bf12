"""Chooses how to talk to MLflow: over its REST API, or by its own client where a server needs more than that."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from requests import RequestException

from worker.tracking.connection import Access, Refused, Unanswered
from worker.tracking.records import Run
from worker.tracking.rest import RestClient, is_with_server

# Other ways to log in, and what else MLflow's client adds to each request.
OTHER_WAYS = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_WORKSPACE")
PLUGINS = "mlflow.request_header_provider"
LOGIN_FILE = Path(".mlflow") / "credentials"  # in the home folder; MLflow reads it where no user is set


def client_of(tracking_uri: str, environment: Mapping[str, str] = os.environ) -> "Client":
    """Return a client of this server."""
    if _is_plain(tracking_uri, environment):
        return Client(Access.of(tracking_uri, environment))
    return cast("Client", MlflowsOwn(tracking_uri))  # which has all its methods


class MlflowsOwn:
    """MLflow's client, with its errors in our words. It takes a second to load, and more memory than all the rest."""

    def __init__(self, tracking_uri: str) -> None:
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - slow, and rarely needed

        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the client's method."""

        def call(*args: Any, **values: Any) -> Any:
            with _in_our_words():
                return getattr(self._client, name)(*args, **values)

        return call

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Log parameters; again is no mistake if the values are the same."""
        for name, text in params.items():
            with _in_our_words():
                self._client.log_param(run_id, name, text)

    def log_artifact(self, run: Run, path: Path, folder: str) -> None:
        """Store a file as an artifact of the run, in this folder of its artifacts."""
        with _in_our_words():
            self._client.log_artifact(run.info.run_id, str(path), folder)

    def download_artifact(self, run: Run, name: str, folder: Path) -> Path:
        """Copy a file of the run into the folder; return the copy."""
        with _in_our_words():
            return Path(self._client.download_artifacts(run.info.run_id, name, str(folder)))


class Client(RestClient):
    """The REST API; MLflow's client for files only, where they go to a cloud's store and not through the server."""

    @cached_property
    def _mlflows_own(self) -> MlflowsOwn:
        return MlflowsOwn(self.uri)

    def log_artifact(self, run: Run, path: Path, folder: str) -> None:
        """Store a file as an artifact of the run, in this folder of its artifacts."""
        if is_with_server(run.info.artifact_uri):
            self.store_artifact(run.info.artifact_uri, f"{folder}/{path.name}", path)
        else:
            self._mlflows_own.log_artifact(run, path, folder)

    def download_artifact(self, run: Run, name: str, folder: Path) -> Path:
        """Copy a file of the run into the folder; return the copy."""
        if not is_with_server(run.info.artifact_uri):
            return self._mlflows_own.download_artifact(run, name, folder)
        self.fetch_artifact(run.info.artifact_uri, name, folder / name)
        return folder / name


@contextmanager
def _in_our_words() -> Iterator[None]:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except MlflowException as error:
        raise Refused(str(getattr(error, "error_code", "")), error.message) from error
    except RequestException as error:  # files go by plain HTTP
        raise Unanswered(f"{type(error).__name__}: {error}") from error


def _is_plain(tracking_uri: str, environment: Mapping[str, str]) -> bool:
    if not tracking_uri.startswith(("http://", "https://")) or any(environment.get(name) for name in OTHER_WAYS):
        return False
    has_login_file = not environment.get("MLFLOW_TRACKING_USERNAME") and (Path.home() / LOGIN_FILE).exists()
    return not (has_login_file or entry_points(group=PLUGINS))
