"""`mlflow run GIT_URI -b retrain`: MLflow finds this backend of projects by its entry point. The service trains."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from mlflow import MlflowClient
from mlflow.exceptions import ExecutionException, MlflowException
from mlflow.projects.backend.abstract_backend import AbstractBackend
from mlflow.projects.submitted_run import SubmittedRun

from .cli.checkout import FILE, find_checkout, without_credentials
from .cli.show import show_log, what_happened
from .cli.waiting import follow_to_end
from .client import Client, ClientError, JobHandle
from .plain_text import plain, plain_line
from .watched_job import what_else

KNOWN = {
    "url": "the service's address; RETRAIN_URL by default",
    "follow": "false to return as soon as the run has begun",
    "request": "more fields of POST /retrain, such as model_name and resources",
}
# What mlflow run itself says of the request: its argument instead of the field.
ARGUMENTS = {
    "git_uri": "the URI",
    "MLproject_location": "the URI: #FOLDER behind it",
    "commit_hash": "--version",
    "entry_point": "--entry-point",
    "parameters": "-P",
    "experiment_name": "--experiment-name",
}
# What MLflow puts into every backend's configuration, and what of it means nothing to the service.
SYNCHRONOUS = "SYNCHRONOUS"
OWN_ENVIRONMENT = {
    "ENV_MANAGER": "--env-manager",
    "DOCKER_ARGS": "--docker-args",
    "STORAGE_DIR": "--storage-dir",
    "build_image": "--build-image",
    "docker_auth": "docker_auth",
}
STATUS = {
    **dict.fromkeys(("queued", "starting", "retry_wait"), "SCHEDULED"),
    **dict.fromkeys(("running", "cancelling"), "RUNNING"),
    "succeeded": "FINISHED",
    "failed": "FAILED",
    "cancelled": "KILLED",
}


class RetrainRun(SubmittedRun):
    """A job of the service, as MLflow handles what it has submitted."""

    def __init__(self, job: JobHandle, *, follows: bool = True) -> None:
        super().__init__()
        self.job = job
        self._follows = follows

    @property
    def run_id(self) -> str | None:
        """The MLflow run of the last attempt; None before it has one."""
        return _run_id(self.job)

    def wait(self) -> bool:
        """Return whether the job succeeded, once it has ended; its log is printed meanwhile."""
        with _InWords():
            if self._follows:
                follow_to_end(self.job)
            else:
                self.job.wait(progress=False)
        return self.job.state == "succeeded"

    def get_status(self) -> str:
        """Return the job's state in MLflow's words."""
        with _InWords():
            return STATUS[self.job.refresh().state]

    def cancel(self) -> None:
        """Cancel the job, and return when it has ended."""
        with _InWords():
            if not self.job.refresh().has_ended:
                self.job.cancel()
                self.job.wait(progress=False)


class RetrainBackend(AbstractBackend):
    """Submits projects to the service instead of running them here."""

    def run(
        self,
        project_uri: str,
        entry_point: str,
        params: Mapping[str, Any],
        version: str | None,
        backend_config: Mapping[str, Any],
        tracking_uri: str,
        experiment_id: str,
    ) -> RetrainRun:
        """Submit it, and return when its run has begun; for the command `mlflow run`, when it has ended."""
        config = _Config.of(backend_config)
        request = {
            **config.request,
            **_source(project_uri, version),
            "entry_point": entry_point,
            "parameters": dict(params),
            "experiment_name": _experiment_name(tracking_uri, experiment_id),
        }
        with _InWords():
            job = Client(config.url).retrain(**request)
        submitted = RetrainRun(job, follows=config.follows)
        try:
            _await_run(job, tracking_uri)
            # MLflow itself does not wait for the backends of others at its command line.
            if config.follows and config.is_command and not submitted.wait():
                raise ExecutionException(_told(job))
        except KeyboardInterrupt:
            click.echo(f"\nCancelling job {job.id}", err=True)
            submitted.cancel()
            raise
        return submitted


@dataclass(frozen=True)
class _Config:
    """What --backend-config says, and how MLflow was called."""

    url: str
    request: Mapping[str, Any] = field(repr=False)
    follows: bool
    is_command: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "_Config":
        """Read it; raise ExecutionException saying what is wrong with it."""
        for name, option in OWN_ENVIRONMENT.items():
            if given.get(name):
                raise ExecutionException(f"{option} is nothing for the service: it builds each training's environment.")
        if unknown := sorted(given.keys() - KNOWN.keys() - OWN_ENVIRONMENT.keys() - {SYNCHRONOUS}):
            known = "; ".join(f"{name} ({what})" for name, what in KNOWN.items())
            raise ExecutionException(
                f"--backend-config has {', '.join(unknown)}, which nobody knows. Known are: {known}. The token is read "
                "from RETRAIN_TOKEN."
            )
        url = given.get("url") or os.environ.get("RETRAIN_URL")
        if not isinstance(url, str) or not url:
            raise ExecutionException(
                'Where is the service? Say it: --backend-config \'{"url": "https://retrain.example.com"}\', or set '
                "RETRAIN_URL."
            )
        # At the command line, MLflow calls every backend but its own as one that is not waited for.
        is_command = click.get_current_context(silent=True) is not None and not given.get(SYNCHRONOUS)
        return cls(url, _request_of(given), given.get("follow") is not False, is_command)


def _request_of(given: Mapping[str, Any]) -> Mapping[str, Any]:
    request = given.get("request") or {}
    if not isinstance(request, dict):
        raise ExecutionException("request in --backend-config is not an object with fields of POST /retrain.")
    for name, argument in ARGUMENTS.items():
        if name in request:
            raise ExecutionException(f"{name} is said by {argument}, not by request in --backend-config.")
    return request


def _source(project_uri: str, version: str | None) -> dict[str, str]:
    """Return the repository, the commit and the folder. Of a checkout of this machine: those that its origin has."""
    address, _, location = project_uri.strip("'\"").partition("#")
    if "://" not in address and Path(address).exists():
        return _source_of_folder(Path(address), location, version)
    chosen = {"commit_hash": version} if version else {}
    return {"git_uri": _with_credentials(address), "MLproject_location": location, **chosen}


def _source_of_folder(folder: Path, location: str, version: str | None) -> dict[str, str]:
    checkout = find_checkout(folder) if folder.is_dir() else None
    if checkout is None or checkout.git_uri is None or checkout.git_uri.startswith(FILE):
        raise ExecutionException(
            f"The service trains commits, and {folder} is not a git checkout whose origin it can reach. Push it, and "
            "say its address: mlflow run GIT_URI -b retrain"
        )
    if version is None and (problems := (*checkout.uncommitted, *checkout.unpushed)):
        raise ExecutionException(f"The service trains what {checkout.git_uri} has: {' '.join(problems)}")
    click.echo(plain_line(f"{checkout.git_uri}, commit {version or checkout.commit_hash}"), err=True)
    return {
        "git_uri": _with_credentials(checkout.git_uri),
        "commit_hash": version or checkout.commit_hash,
        "MLproject_location": "/".join(each for each in (checkout.location, location) if each),
    }


def _with_credentials(address: str) -> str:
    """Return RETRAIN_GIT_URI, if that is the same address with credentials: a command line is no place for those."""
    private = os.environ.get("RETRAIN_GIT_URI", "")
    try:
        return private if private and without_credentials(private) == without_credentials(address) else address
    except ValueError:  # not an address: the service says what is wrong with it
        return address


def _experiment_name(tracking_uri: str, experiment_id: str) -> str:
    if not tracking_uri.startswith(("http://", "https://")):
        raise ExecutionException(
            f"MLflow here records in {tracking_uri}. Set MLFLOW_TRACKING_URI to the MLflow server of the service."
        )
    return str(MlflowClient(tracking_uri).get_experiment(experiment_id).name)


def _run_id(job: JobHandle) -> str | None:
    run = job.record["mlflow"]
    return None if run is None else str(run["run_id"])


def _await_run(job: JobHandle, tracking_uri: str) -> None:
    """Return when the job has a run, which MLflow marks; raise ExecutionException if it has ended without one."""
    click.echo(plain_line(f"Job {job.id}"), err=True)
    said = ""
    with _InWords():
        for record in job.watch():
            if _run_id(job) or job.has_ended:
                break
            now = plain_line(", ".join([record["state"], *what_else(record)]))
            if now != said:
                click.echo(now, err=True)
            said = now
    run_id = _run_id(job)
    if run_id is None:
        show_log(job.log_lines())
        raise ExecutionException(_told(job))
    try:
        MlflowClient(tracking_uri).get_run(run_id)
    except MlflowException as error:
        job.cancel()
        raise ExecutionException(
            f"Job {job.id} is cancelled: {tracking_uri} does not know its run {run_id}. Set MLFLOW_TRACKING_URI "
            "to the MLflow server of the service."
        ) from error


def _told(job: JobHandle) -> str:
    why = what_happened(job.record)
    return plain_line(f"Job {job.id} {job.state}{f': {why}' if why else ''}")


class _InWords:
    """Raises the client's errors as MLflow's own, which its command line shows without a traceback."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, ClientError):
            raise ExecutionException(plain(str(error))) from error
