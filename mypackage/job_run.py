"""Remembers which MLflow run is the job's own, because MLflow removes MLFLOW_RUN_ID on first use."""

import os

from .protocol import JOB_VARIABLE, MLFLOW_RUN_VARIABLE, RUN_VARIABLE

# A worker older than RETRAIN_RUN_ID sets only MLflow's variable, so it must be saved before MLflow removes it. Outside
# the service (RETRAIN_JOB_ID) it is not ours. This can go once no such worker is left.
_AT_IMPORT = os.environ.get(MLFLOW_RUN_VARIABLE) if JOB_VARIABLE in os.environ else None


def job_run_id() -> str | None:
    """Return the id of the run that the service created for this attempt; None outside the service."""
    return os.environ.get(RUN_VARIABLE) or _AT_IMPORT
