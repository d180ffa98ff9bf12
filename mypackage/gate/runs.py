"""Finds the runs that concern a gate: the one that it works in, those that this is nested in, and the job's own."""

import os
from collections.abc import Iterator

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from ..job_run import job_run_id
from ..protocol import DECISION_TAG, MLFLOW_RUN_VARIABLE
from .champions import is_fenced

PARENT_TAG = "mlflow.parentRunId"
MOST_PARENTS = 10


class RunEnded(RuntimeError):
    """The service has given this attempt up and may start another elsewhere: its model must not be promoted."""


def open_run(client: MlflowClient) -> str:
    """Return the active run, else the job's own, resumed if it has ended, else a new one; it stays active."""
    job_run = job_run_id()
    if run := mlflow.active_run():
        pass
    elif job_run is None or MLFLOW_RUN_VARIABLE in os.environ:
        run = mlflow.start_run()
    else:
        run = _go_on(client, job_run)
    return str(run.info.run_id)


def runs_of(client: MlflowClient, run_id: str) -> list[Run]:
    """Return the run as it is now, the run that it is nested in, and so on; the job's own in any case."""
    nest = list(_nest(client, run_id))
    job_run = job_run_id()
    if job_run is None or job_run in (run.info.run_id for run in nest):
        return nest
    return [*nest, client.get_run(job_run)]


def job_run_beside(client: MlflowClient, run_id: str) -> str | None:
    """Return the job's own run if this one is neither it nor nested in it: MLflow made it after that had ended."""
    job_run = job_run_id()
    return None if job_run in (run.info.run_id for run in _nest(client, run_id)) else job_run


def require_not_fenced(client: MlflowClient, run_id: str) -> None:
    """Refuse if the service has fenced one of the runs: this host was cut off, and another attempt took over."""
    if any(is_fenced(run) for run in runs_of(client, run_id)):
        raise RunEnded(f"The service has given up the attempt of run {run_id}: its model is not made champion.")


def _go_on(client: MlflowClient, job_run: str) -> mlflow.ActiveRun:
    """Make the job's run active again. It has room for one model, whose metrics will always be read from it."""
    require_not_fenced(client, job_run)  # before MLflow calls it running again
    run = client.get_run(job_run)
    if DECISION_TAG in run.data.tags:
        return mlflow.start_run(tags={PARENT_TAG: job_run})
    try:
        return mlflow.start_run(run_id=job_run)
    except MlflowException:  # train.py has chosen another experiment meanwhile, and MLflow insists on that one
        mlflow.set_experiment(experiment_id=run.info.experiment_id)
        return mlflow.start_run(run_id=job_run)


def _nest(client: MlflowClient, run_id: str) -> Iterator[Run]:
    following: str | None = run_id
    for _ in range(MOST_PARENTS):
        if following is None:
            return
        run = client.get_run(following)
        yield run
        following = run.data.tags.get(PARENT_TAG)
