"""The worker's only way to MLflow: its loader of MLproject files, and its tracking server.

No type or error of mlflow's leaves this module.
"""

import logging
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mlflow.entities as mlflow_entities
import mlflow.projects.utils as mlflow_projects
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mypackage.protocol import (
    ATTEMPT_TAG,
    FENCED,
    FENCED_TAG,
    JOB_RUN_TAG,
    JOB_TAG,
    MLFLOW_RUN_VARIABLE,
    RUN_VARIABLE,
)
from shared.errors import Code, ConfigurationError, InfrastructureError, UserError
from shared.links import run_page
from worker.project.entry_points import EntryPoint, EnvironmentVariable, Parameter, Project
from worker.project.mlproject_file import check_project_file, folder_for_mlflow
from worker.tracking.errors import server_answers, short
from worker.tracking.evaluation_runs import EvaluationRuns
from worker.tracking.model_gate import ModelGate
from worker.tracking.model_lookup import find_version
from worker.tracking.run_tags import RunRequest, tags_of
from worker.tracking.training_tags import base_model_of, dataset_of, decision_of, is_number, refused_of

PARAMETER_CHARACTERS = 6000  # MLflow's limit; it cuts longer ones silently
RESULT_ITEMS = 200  # metrics, and versions, that a job shows; MLflow has them all

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """An MLflow run; ``url`` is its page, if the server has pages."""

    run_id: str
    experiment_id: str
    url: str | None


@dataclass(frozen=True)
class RunResult:
    """What a run produced. A value that is not a finite number is None, because JSON cannot express it."""

    metrics: Mapping[str, float | None]
    decision: Mapping[str, Any] | None
    model_versions: tuple[tuple[str, str], ...]
    dataset: Mapping[str, str] | None = None
    base_model: Mapping[str, str] | None = None
    refused: tuple[Mapping[str, Any], ...] = ()


def configure_client(environment: MutableMapping[str, str], *, timeout_seconds: int = 30) -> None:
    """Make MLflow's client give up after about a minute instead of twenty; the operator's settings take precedence.

    Call it once, when the process starts: MLflow reads these settings only from the environment.
    """
    environment.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(timeout_seconds))
    environment.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    environment.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")


def load_project(folder: Path, repository: Path | None = None) -> Project:
    """Read the folder's MLproject file with MLflow's own loader; raise INVALID_PROJECT saying what is wrong with it.

    ``repository`` is the work tree around the folder, if it is more than that.
    """
    file = check_project_file(folder, repository)
    try:
        with folder_for_mlflow(file) as place:
            loaded = mlflow_projects.load_project(str(place))  # type: ignore[no-untyped-call]
    except MlflowException as error:
        raise UserError(Code.INVALID_PROJECT, f"MLflow cannot read the MLproject file: {short(error)}") from error
    docker_env = loaded.docker_env or {}
    return Project(
        name=str(loaded.name or "unnamed"),
        image=docker_env.get("image"),
        entry_points={name: _entry_point(each) for name, each in loaded._entry_points.items()},
        volumes=tuple(docker_env.get("volumes") or ()),
        environment=tuple(map(_variable, docker_env.get("environment") or ())),
        packages=os.path.relpath(loaded.env_config_path, place) if loaded.env_config_path else None,
    )


def container_environment(run: Run, tracking_uri: str) -> dict[str, str]:
    """Return the variables that let mlflow.start_run() in the training find the run, as MLflow's own backends do.

    MLflow removes MLFLOW_RUN_ID on first use, so mypackage's gate finds the run by a variable of our own.
    """
    return {
        RUN_VARIABLE: run.run_id,
        MLFLOW_RUN_VARIABLE: run.run_id,
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_EXPERIMENT_ID": run.experiment_id,
    }


class Tracking:
    """The tracking server. User and password are MLflow's own environment variables, never part of the address."""

    def __init__(self, tracking_uri: str, *, public_url: str = "") -> None:
        if urlsplit(tracking_uri).password or urlsplit(tracking_uri).username:
            raise ConfigurationError(
                "MLFLOW_TRACKING_URI contains a user or password, which would show in containers and logs. "
                "Put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
            )
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        self._url = (public_url or (tracking_uri if tracking_uri.startswith("http") else "")).rstrip("/")

    @property
    def gate(self) -> ModelGate:
        """What deciding about models needs of this server."""
        return ModelGate(self._client)

    @property
    def evaluations(self) -> EvaluationRuns:
        """The runs of evaluations on this server."""
        return EvaluationRuns(self._client)

    def ensure_run(self, request: RunRequest) -> Run:
        """Return the attempt's run, created with its tags if there is none; its parameters are logged either way.

        Safe to call again after a failure at any point: job and attempt identify the run.
        """
        with server_answers("prepare the run", experiment=request.experiment_name):
            experiment_id = self._ensure_experiment(request.experiment_name)
            run_id = self._find_run(experiment_id, request.job_id, request.attempt)
            if run_id is None:
                self._client.create_run(experiment_id, tags=tags_of(request))
                run_id = self._find_run(experiment_id, request.job_id, request.attempt)
            if run_id is None:
                raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "The tracking server does not show a new run.")
            parameters = [mlflow_entities.Param(n, _bounded(text)) for n, text in request.parameters.items()]
            self._client.log_batch(run_id, params=parameters)
        url = run_page(self._url, experiment_id=experiment_id, run_id=run_id) if self._url else None
        return Run(run_id, experiment_id, url)

    def find_run(self, experiment_name: str, *, job_id: str, attempt: int) -> str | None:
        """Return the attempt's run, which may exist even if the answer to its creation was lost."""
        with server_answers("find the run", experiment=experiment_name):
            experiment = self._client.get_experiment_by_name(experiment_name)
            return self._find_run(experiment.experiment_id, job_id, attempt) if experiment else None

    def find_base_model(self, address: str) -> str | None:
        """Return the version that models:/name/version or models:/name@alias means now; None if it is neither.

        Raises INVALID_PARAMETER, listing what exists, if there is no such version, alias or run.
        """
        with server_answers("find the base model", base_model=address):
            return find_version(self._client, address)

    def log_image(self, run_id: str, *, image: str, image_id: str) -> None:
        """Tag the run with the image that it runs in, as MLflow does."""
        with server_answers("tag the run", run_id=run_id):
            self._client.set_tag(run_id, "mlflow.docker.image.uri", image)
            self._client.set_tag(run_id, "mlflow.docker.image.id", image_id)

    def finish_run(self, run_id: str, status: str) -> None:
        """Give the run its final status: FINISHED, FAILED or KILLED. Calling again changes nothing.

        The exit code overrules what the training itself reported. A run that somebody deleted stays deleted.
        """
        with server_answers("finish the run", run_id=run_id):
            info = self._find_info(run_id)
            if info is None or info.lifecycle_stage == "deleted":
                logger.warning("run was deleted", extra={"run_id": run_id})
            elif info.status != status or info.end_time is None:
                self._client.set_terminated(run_id, status)

    def fence_run(self, run_id: str) -> None:
        """Tell the training, wherever it still runs, that this run is over: mypackage's gate then promotes nothing."""
        with server_answers("fence the run", run_id=run_id):
            if self._find_info(run_id) is not None:
                self._client.set_tag(run_id, FENCED_TAG, FENCED)

    def log_file(self, run_id: str, path: Path, folder: str) -> None:
        """Store a file as an artifact of the run, in this folder of its artifacts."""
        with server_answers("keep an artifact", run_id=run_id):
            self._client.log_artifact(run_id, str(path), folder)

    def result(self, run_id: str) -> RunResult:
        """Return the last value of each metric, the gate's decision, the run's model versions, and what it used."""
        with server_answers("read the run", run_id=run_id):
            try:
                data = self._client.get_run(run_id).data
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                logger.warning("run was deleted", extra={"run_id": run_id})
                return RunResult({}, None, ())
            decision = decision_of(data.tags, run_id)
            versions = list(self._client.search_model_versions(f"run_id='{run_id}'")) or self._versions_of_other_runs(
                run_id, decision or {}
            )
        kept = sorted(data.metrics.items())[:RESULT_ITEMS]
        metrics = {name: value if is_number(value) else None for name, value in kept}
        made = sorted((each.name, int(each.version)) for each in versions)[-RESULT_ITEMS:]
        versions_made = tuple((name, str(version)) for name, version in made)
        return RunResult(
            metrics,
            decision,
            versions_made,
            dataset=dataset_of(data.tags),
            base_model=base_model_of(data.tags),
            refused=refused_of(data.tags),
        )

    def refused(self, run_id: str) -> tuple[Mapping[str, Any], ...]:
        """Return what the guard before MLflow refused to the run's attempt."""
        with server_answers("read the run", run_id=run_id):
            try:
                return refused_of(self._client.get_run(run_id).data.tags)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return ()

    def _versions_of_other_runs(self, run_id: str, decision: Mapping[str, Any]) -> list[ModelVersion]:
        """Return the version that the gate decided on, if another run of this job made it, such as a nested one."""
        name, version = decision.get("model_name"), decision.get("model_version")
        if not (isinstance(name, str) and isinstance(version, str)):
            return []
        try:
            found = self._client.get_model_version(name, version)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return []
        return [found] if found.tags.get(JOB_RUN_TAG) == run_id else []  # what the training says is not trusted

    def _ensure_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return self._client.create_experiment(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(name)  # another worker was faster
        if experiment is None or experiment.lifecycle_stage == "deleted":
            raise UserError(
                Code.INVALID_PARAMETER,
                f"The experiment '{name}' is deleted in MLflow, which keeps its name taken. Restore it in MLflow "
                "(mlflow experiments restore), or send another experiment_name.",
                experiment=name,
            )
        return str(experiment.experiment_id)

    def _find_run(self, experiment_id: str, job_id: str, attempt: int) -> str | None:
        """Return the attempt's oldest run. After a lost answer the client creates a second one, which is deleted."""
        wanted = f"tags.`{JOB_TAG}` = '{job_id}' and tags.`{ATTEMPT_TAG}` = '{attempt}'"
        found = self._client.search_runs([experiment_id], wanted, order_by=["attributes.start_time ASC"])
        for surplus in found[1:]:
            logger.warning("deleting a run that was created twice", extra={"run_id": surplus.info.run_id})
            self._client.delete_run(surplus.info.run_id)
        return str(found[0].info.run_id) if found else None

    def _find_info(self, run_id: str) -> mlflow_entities.RunInfo | None:
        try:
            return self._client.get_run(run_id).info
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None


def _entry_point(loaded: Any) -> EntryPoint:
    parameters = (
        Parameter(str(name), each.type, None if each.default is None else str(each.default))
        for name, each in loaded.parameters.items()
    )
    return EntryPoint(loaded.name, loaded.command, tuple(parameters))


def _variable(entry: Any) -> EnvironmentVariable:
    return EnvironmentVariable(entry) if isinstance(entry, str) else EnvironmentVariable(entry[0], str(entry[1]))


def _bounded(text: str) -> str:
    if len(text) <= PARAMETER_CHARACTERS:
        return text
    note = f"… (cut; {len(text)} characters in all)"
    return text[: PARAMETER_CHARACTERS - len(note)] + note
