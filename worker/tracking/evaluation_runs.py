"""The MLflow runs of an evaluation: one for each model, nested under the job's run, with what was measured."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mypackage.protocol import ENDED_TAG, EVALUATE_TAG, EVALUATED_TAG, JOB_TAG, SCORES_FILE
from worker.tracking.clients import Client
from worker.tracking.connection import Refused
from worker.tracking.errors import server_answers
from worker.tracking.records import Run
from worker.tracking.training_tags import is_number

PARENT_TAG = "mlflow.parentRunId"
USER_TAG, NAME_TAG = "mlflow.user", "mlflow.runName"
MOST_BYTES = 50_000_000  # of one model's scores
LEFT = "its attempt ended before it"
NOTE_TAG = "mlflow.note.content"  # what MLflow shows as the run's description

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluated:
    """One model's run. ``why`` says why its evaluation failed, "" if it did not."""

    run_id: str
    has_ended: bool
    why: str
    metrics: Mapping[str, float]


class TooBig(Exception):
    """Scores that are not copied."""


class EvaluationRuns:
    """Makes, ends and reads them, with the service's own credentials."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def is_possible(self, run_id: str) -> bool:
        """Return whether the project that this job's run trained can evaluate models."""
        with server_answers("read the run", run_id=run_id):
            try:
                return EVALUATE_TAG in self._client.get_run(run_id).data.tags
            except Refused as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return False

    def ensure(self, job_id: str, job_run: str, experiment_id: str, *, key: str, name: str) -> Evaluated:
        """Return the run of this ``key`` under the job's, made unless there is one; ``name`` is for people."""
        with server_answers("prepare the evaluation", run_id=job_run):
            wanted = f"tags.`{PARENT_TAG}` = '{job_run}' and tags.`{EVALUATED_TAG}` = '{key}'"
            found = self._client.search_runs([experiment_id], wanted, order_by=["attributes.start_time ASC"])
            if found:
                return _evaluated(found[0])
            tags = {PARENT_TAG: job_run, EVALUATED_TAG: key, JOB_TAG: job_id, NAME_TAG: name, USER_TAG: "retrain"}
            return _evaluated(self._client.create_run(experiment_id, tags=tags))

    def end(self, run_id: str, *, why: str = "") -> Evaluated:
        """Give the run its final status, FAILED if there is a reason; return what was measured in it."""
        with server_answers("end the evaluation", run_id=run_id):
            if why:
                self._client.set_tag(run_id, NOTE_TAG, why)
            self._client.set_terminated(run_id, "FAILED" if why else "FINISHED")
            self._client.set_tag(run_id, ENDED_TAG, "true")  # the status may have been given by its own code before
            return _evaluated(self._client.get_run(run_id))

    def end_open(self, job_run: str, experiment_id: str) -> None:
        """End those under the job's run that nobody ends any more, because the attempt is over."""
        with server_answers("end the evaluations", run_id=job_run):
            wanted = f"tags.`{PARENT_TAG}` = '{job_run}' and attributes.status = 'RUNNING'"
            for run in self._client.search_runs([experiment_id], wanted, order_by=[]):
                if EVALUATED_TAG in run.data.tags:
                    self.end(run.info.run_id, why=LEFT)

    def fetch_scores(self, run_id: str, folder: Path) -> Path | None:
        """Copy the score of each example into the folder; None if there is no such file. Raises TooBig."""
        with server_answers("read the scores", run_id=run_id):
            try:
                run, listed = self._client.get_run(run_id), self._client.list_artifacts(run_id)
            except Refused as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None
            found = next((each for each in listed if each.path == SCORES_FILE and not each.is_dir), None)
            if found is None:
                return None
            if (found.file_size or 0) > MOST_BYTES:
                raise TooBig(f"its {SCORES_FILE} has {found.file_size} bytes, and {MOST_BYTES} are the most")
            return self._client.download_artifact(run, SCORES_FILE, folder)


def _evaluated(run: Run) -> Evaluated:
    tags = run.data.tags
    metrics = {name: value for name, value in run.data.metrics.items() if is_number(value)}
    why = tags.get(NOTE_TAG, "it failed") if run.info.status == "FAILED" else ""
    return Evaluated(run.info.run_id, ENDED_TAG in tags, why, metrics)
