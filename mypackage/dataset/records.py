"""Records the dataset on the MLflow run, as an input with a digest and as tags."""

import importlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from ..job_run import job_run_id
from ..protocol import DATASET_TAGS, MLFLOW_RUN_VARIABLE

CONTEXT = "training"
NAME_CHARACTERS, DIGEST_CHARACTERS = 500, 36  # MLflow's limits for an input; the tag has the whole digest


@dataclass(frozen=True)
class DatasetRecord:
    """Where a dataset came from, and what it was; empty where the origin has no such value. Contains no credentials."""

    origin: str
    repo: str
    digest: str
    rev: str = ""
    path: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """The run's tags; the service shows them as the job's resolved dataset."""
        return {f"{DATASET_TAGS}{name}": value for name, value in asdict(self).items() if value}


def record(used: DatasetRecord) -> None:
    """Record the dataset on the run, if there is one.

    mlflow.log_input would do the same, but starts a new run if none is active.
    """
    try:
        mlflow = importlib.import_module("mlflow")
        entities = importlib.import_module("mlflow.entities")
    except ImportError:
        return
    run_id = find_run_id(mlflow)
    if not run_id:
        return
    client = mlflow.MlflowClient()
    client.log_inputs(run_id, [_input(entities, used)])
    for name, value in used.tags.items():
        client.set_tag(run_id, name, value)


def find_run_id(mlflow: Any) -> str | None:
    """Return the active run, else the one that mlflow.start_run() would find, else the job's own."""
    active = mlflow.active_run()
    return active.info.run_id if active else os.environ.get(MLFLOW_RUN_VARIABLE) or job_run_id()


def _input(entities: Any, used: DatasetRecord) -> Any:
    name = (used.path or used.repo.rstrip("/").rpartition("/")[2] or used.repo)[-NAME_CHARACTERS:]
    digest = used.digest.rpartition(":")[2][:DIGEST_CHARACTERS]
    source = {"repo": used.repo, "rev": used.rev, "path": used.path}
    dataset = entities.Dataset(name=name, digest=digest, source_type=used.origin, source=json.dumps(source))
    return entities.DatasetInput(dataset=dataset, tags=[entities.InputTag("mlflow.data.context", CONTEXT)])
