"""Builds the tags that tell where an MLflow run came from: those of MLflow's project runs, and ours. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mypackage.protocol import ATTEMPT_TAG, JOB_TAG, REQUEST_TAG
from shared.addresses.git_uri import parse_git_uri

BACKEND = "retrain"
USER = "retrain"  # MLflow would write its process's account, which is the same for all runs of a service


@dataclass(frozen=True)
class RunRequest:
    """The run that an attempt needs. ``branch`` is None where the ref was a tag or a commit."""

    job_id: str
    attempt: int
    experiment_name: str
    git_uri: str
    commit_sha: str
    folder: str = ""
    branch: str | None = None
    entry_point: str = "main"
    project_env: str | None = None  # "docker", or None as MLflow leaves it for its env_manager=local
    parameters: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    run_name: str | None = None  # None for one that MLflow makes up


def tags_of(request: RunRequest) -> dict[str, str]:
    """Return the run's tags. They contain no credentials: the address is stripped of them once more."""
    uri = parse_git_uri(request.git_uri).uri
    tags = {
        "mlflow.runName": request.run_name,
        "mlflow.user": USER,
        "mlflow.source.name": f"{uri}#{request.folder}" if request.folder else uri,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": request.commit_sha,
        "mlflow.source.git.repoURL": uri,
        "mlflow.source.git.branch": request.branch,
        "mlflow.project.entryPoint": request.entry_point,
        "mlflow.project.backend": BACKEND,
        "mlflow.project.env": request.project_env,
        JOB_TAG: request.job_id,
        ATTEMPT_TAG: str(request.attempt),
        REQUEST_TAG: request.request_id,
    }
    return {name: value for name, value in tags.items() if value is not None}
