"""Which MLflow run is the job's own: MLflow forgets MLFLOW_RUN_ID after its first use, and this does not."""

import os

from .protocol import JOB_VARIABLE, MLFLOW_RUN_VARIABLE, RUN_VARIABLE

# A worker that is older than RETRAIN_RUN_ID gives MLflow's variable only, so it has to be kept before MLflow takes it
# away. Outside the service (RETRAIN_JOB_ID) it is not ours. Can go when no such worker is left.
_AT_IMPORT = os.environ.get(MLFLOW_RUN_VARIABLE) if JOB_VARIABLE in os.environ else None


def job_run_id() -> str | None:
    """Return the id of the run that the service has made for this attempt; None outside the service."""
    return os.environ.get(RUN_VARIABLE) or _AT_IMPORT
