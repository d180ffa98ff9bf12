"""The worker's only way to MLflow's tracking server. No type or error of mlflow's leaves this room."""

import logging
import time
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mypackage.protocol import (
    ATTEMPT_TAG,
    EVALUATE_TAG,
    FENCED,
    FENCED_TAG,
    JOB_RUN_TAG,
    JOB_TAG,
    MLFLOW_RUN_VARIABLE,
    RUN_VARIABLE,
)
from shared.errors import Code, ConfigurationError, UserError
from shared.links import run_page
from worker.tracking.clients import client_of
from worker.tracking.connection import Access, Refused, Unanswered
from worker.tracking.errors import server_answers
from worker.tracking.evaluation_runs import EvaluationRuns
from worker.tracking.just_read import JustRead
from worker.tracking.model_gate import ModelGate
from worker.tracking.model_lookup import find_version
from worker.tracking.records import ModelVersion
from worker.tracking.records import Run as Recorded
from worker.tracking.run_tags import RunRequest, tags_of
from worker.tracking.training_tags import base_model_of, dataset_of, decision_of, is_number, refused_of

PARAMETER_CHARACTERS = 6000  # MLflow's limit; it cuts longer ones silently
LOG_FOLDER = "retrain"  # of the run's artifacts
FINISHED = "FINISHED"
KNOWN_SECONDS = 30  # in which a renamed experiment may still get a run
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


def configure_client(environment: MutableMapping[str, str]) -> None:
    """Make MLflow's client, which `clients.py` may use, give up in a minute; the operator's settings take precedence.

    Call it once, when the process starts: MLflow reads these settings only from the environment.
    """
    environment.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(Access.timeout_seconds))
    environment.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(Access.retries))
    environment.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", str(Access.backoff_seconds))


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
        self._client = client_of(tracking_uri)
        self._just_read = JustRead()
        self._experiments: dict[str, tuple[str, float]] = {}  # ids, and until when they are taken for true
        self._url = (public_url or (tracking_uri if tracking_uri.startswith("http") else "")).rstrip("/")

    @property
    def gate(self) -> ModelGate:
        """What deciding about models needs of this server."""
        return ModelGate(self._client, self._just_read)

    @property
    def evaluations(self) -> EvaluationRuns:
        """The runs of evaluations on this server."""
        return EvaluationRuns(self._client)

    def ensure_run(self, request: RunRequest) -> Run:
        """Return the attempt's run, created with its tags if there is none; its parameters are logged either way.

        Safe to call again after a failure at any point: job and attempt identify the run.
        """
        with server_answers("prepare the run", experiment=request.experiment_name):
            try:
                experiment_id, run_id = self._open_run(request)
            except Refused:  # what was known of the experiment may be old: it may be deleted since
                if self._experiments.pop(request.experiment_name, None) is None:
                    raise
                experiment_id, run_id = self._open_run(request)
            if request.parameters:
                self._client.log_params(run_id, {name: _bounded(text) for name, text in request.parameters.items()})
        url = run_page(self._url, experiment_id=experiment_id, run_id=run_id) if self._url else None
        return Run(run_id, experiment_id, url)

    def _open_run(self, request: RunRequest) -> tuple[str, str]:
        """Return the ids of the attempt's experiment and run."""
        experiment_id = self._known_experiment(request.experiment_name)
        run_id = self._find_run(experiment_id, request.job_id, request.attempt) if request.may_exist else None
        return experiment_id, run_id or self._create_run(experiment_id, request)

    def _create_run(self, experiment_id: str, request: RunRequest) -> str:
        """Return the id of the attempt's one run, even if the answer to its creation is lost."""
        tags = tags_of(request)
        try:
            return self._client.create_run(experiment_id, tags=tags).info.run_id
        except Unanswered:
            if run_id := self._find_run(experiment_id, request.job_id, request.attempt):
                return run_id
            made = self._client.create_run(experiment_id, tags=tags).info.run_id
            # The first request may have been slow, not lost.
            return self._find_run(experiment_id, request.job_id, request.attempt) or made

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

    def finish_run(self, run_id: str, status: str) -> None:
        """Give the run its final status: FINISHED, FAILED or KILLED. Calling again changes nothing.

        The exit code overrules what the training itself reported. A run that somebody deleted stays deleted.
        Evaluations under it that were left open, with a lost host for instance, are ended, too.
        """
        with server_answers("finish the run", run_id=run_id):
            self._end(self._find(run_id), run_id, status)

    def close_run(self, run_id: str, status: str, log: Path) -> RunResult:
        """Keep the log as an artifact, end the run as `finish_run` does, and return what it produced.

        Only a FINISHED one is asked for the versions of its models.
        """
        with server_answers("finish the run", run_id=run_id):
            run = self._just_read.take(run_id) or self._find(run_id)
            if run is None:
                self._end(run, run_id, status)
                return RunResult({}, None, ())
            with ThreadPoolExecutor(1) as beside:  # neither the log nor the versions wait for the other
                versions = beside.submit(self._find_versions, run) if status == FINISHED else None
                self._client.log_artifact(run, log, LOG_FOLDER)
            self._end(run, run_id, status)
            return _result(run, versions.result() if versions else ())

    def keep_files(self, run_id: str, files: Sequence[Path]) -> None:
        """Keep the files beside the log, as artifacts of the run; a run that somebody deleted takes none."""
        with server_answers("keep files of the run", run_id=run_id):
            run = self._find(run_id)
            if run is not None and run.info.lifecycle_stage != "deleted":
                for each in files:
                    self._client.log_artifact(run, each, LOG_FOLDER)

    def _end(self, run: Recorded | None, run_id: str, status: str) -> None:
        if run is None or run.info.lifecycle_stage == "deleted":
            logger.warning("run was deleted", extra={"run_id": run_id})
            return
        if EVALUATE_TAG in run.data.tags:
            self.evaluations.end_open(run_id, run.info.experiment_id)
        if run.info.status != status or run.info.end_time is None:
            self._client.set_terminated(run_id, status)

    def fence_run(self, run_id: str) -> None:
        """Tell the training, wherever it still runs, that this run is over: mypackage's gate then promotes nothing."""
        with server_answers("fence the run", run_id=run_id):
            if self._find(run_id) is not None:
                self._client.set_tag(run_id, FENCED_TAG, FENCED)

    def _find_versions(self, run: Recorded) -> Sequence[ModelVersion]:
        run_id = run.info.run_id
        found = self._client.search_model_versions(f"run_id='{run_id}'")
        return found or self._versions_of_other_runs(run_id, decision_of(run.data.tags, run_id) or {})

    def _versions_of_other_runs(self, run_id: str, decision: Mapping[str, Any]) -> list[ModelVersion]:
        """Return the version that the gate decided on, if another run of this job made it, such as a nested one."""
        name, version = decision.get("model_name"), decision.get("model_version")
        if not (isinstance(name, str) and isinstance(version, str)):
            return []
        try:
            found = self._client.get_model_version(name, version)
        except Refused as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return []
        return [found] if found.tags.get(JOB_RUN_TAG) == run_id else []  # what the training says is not trusted

    def _known_experiment(self, name: str) -> str:
        """Return the experiment's id: jobs that come together, or one after the other, ask for it once."""
        known_id, until = self._experiments.get(name, ("", 0.0))
        if time.monotonic() < until:
            return known_id
        found = self._ensure_experiment(name)
        self._experiments[name] = found, time.monotonic() + KNOWN_SECONDS
        return found

    def _ensure_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return self._client.create_experiment(name)
            except Refused as error:
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

    def _find(self, run_id: str) -> Recorded | None:
        try:
            return self._client.get_run(run_id)
        except Refused as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None


def _result(run: Recorded, versions: Sequence[ModelVersion]) -> RunResult:
    """Return the last value of each metric, the gate's decision, the run's model versions, and what it used."""
    data = run.data
    kept = sorted(data.metrics.items())[:RESULT_ITEMS]
    metrics = {name: value if is_number(value) else None for name, value in kept}
    made = sorted((each.name, int(each.version)) for each in versions)[-RESULT_ITEMS:]
    return RunResult(
        metrics,
        decision_of(data.tags, run.info.run_id),
        tuple((name, str(version)) for name, version in made),
        dataset=dataset_of(data.tags),
        base_model=base_model_of(data.tags),
        refused=refused_of(data.tags),
    )


def _bounded(text: str) -> str:
    if len(text) <= PARAMETER_CHARACTERS:
        return text
    note = f"… (cut; {len(text)} characters in all)"
    return text[: PARAMETER_CHARACTERS - len(note)] + note
