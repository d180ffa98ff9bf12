"""Builds the tags that tell where an MLflow run came from: those of MLflow's project runs, and ours. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mypackage.protocol import ATTEMPT_TAG, EVALUATE_TAG, JOB_TAG, REQUEST_TAG, TRIGGER_TAG, TRIGGERED_BY_TAG
from shared.addresses.git_uri import parse_git_uri

BACKEND = "retrain"
DESCRIPTION_TAG = "mlflow.note.content"
OF_JOB = "Job "  # a description that begins otherwise is the training's own
SHORT_SHA = 7
LONGEST_TAG = 4000  # MLflow takes 5000 bytes, or more in later versions
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
    trigger: str | None = None
    triggered_by: Mapping[str, Any] | None = None
    run_name: str | None = None  # None for one of the model, or the experiment, and the commit
    model_name: str | None = None
    job_page: str | None = None  # None where nobody said how people reach the API
    evaluates: bool = False  # the project can evaluate models
    image: str | None = None  # as the project names it
    image_id: str | None = None
    may_exist: bool = True  # the run may be there already


def tags_of(request: RunRequest) -> dict[str, str]:
    """Return the run's tags. They contain no credentials: the address is stripped of them once more."""
    uri = parse_git_uri(request.git_uri).uri
    tags = {
        "mlflow.runName": request.run_name or name_of(request),
        DESCRIPTION_TAG: description_of(request),
        "mlflow.user": USER,
        "mlflow.source.name": f"{uri}#{request.folder}" if request.folder else uri,
        "mlflow.source.type": "PROJECT",
        "mlflow.source.git.commit": request.commit_sha,
        "mlflow.source.git.repoURL": uri,
        "mlflow.source.git.branch": request.branch,
        "mlflow.project.entryPoint": request.entry_point,
        "mlflow.project.backend": BACKEND,
        "mlflow.project.env": request.project_env,
        "mlflow.docker.image.uri": request.image,
        "mlflow.docker.image.id": request.image_id,
        JOB_TAG: request.job_id,
        ATTEMPT_TAG: str(request.attempt),
        REQUEST_TAG: request.request_id,
        TRIGGER_TAG: request.trigger,
        TRIGGERED_BY_TAG: _occurrence(request.triggered_by) if request.triggered_by else None,
        EVALUATE_TAG: "true" if request.evaluates else None,
    }
    return {name: value for name, value in tags.items() if value is not None}


def _occurrence(triggered_by: Mapping[str, Any]) -> str:
    """Return what fired the job as JSON; without its facts, which senders write, if they are too long for a tag."""
    text = json.dumps(triggered_by)
    return text if len(text) <= LONGEST_TAG else json.dumps({**triggered_by, "facts": {}})


def name_of(request: RunRequest) -> str:
    """Return a name that tells runs apart in MLflow's lists, where a made-up one says nothing."""
    again = f" #{request.attempt}" if request.attempt > 1 else ""
    return f"{request.model_name or request.experiment_name} {request.commit_sha[:SHORT_SHA]}{again}"


def description_of(request: RunRequest) -> str:
    """Return what MLflow shows above the run, in Markdown: where its job is looked up."""
    job = f"[{request.job_id}]({request.job_page})" if request.job_page else f"`{request.job_id}`"
    return f"{OF_JOB}{job}, attempt {request.attempt}"


def with_decision(description: str | None, reason: str) -> str | None:
    """Return the description with the decision about the model under it; None if it is the training's own."""
    if description is not None and not description.startswith(OF_JOB):
        return None
    return "\n\n".join(filter(None, [(description or "").partition("\n")[0], reason]))
