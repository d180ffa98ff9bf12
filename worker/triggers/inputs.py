"""Looks up what a job of a trigger would train on, so that one with the same inputs need not start."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.requests.retrain_request import RetrainRequest
from shared.triggers.inputs import inputs_of
from worker.attempt.dataset_pin import pin
from worker.source.checkout import SourceRequest
from worker.triggers.seam import Around, Look

GIT_SECONDS = 60


@dataclass(frozen=True)
class Inputs:
    """What was found, which the job then trains on; ``compared`` is None if not all of it could be found."""

    commit_sha: str | None = None
    dataset_repo: str | None = None
    data: str | None = None
    compared: Mapping[str, Any] | None = None


def find_inputs(look: Look, request: RetrainRequest, around: Around, *, data: str | None) -> Inputs:
    """Ask the git host and MLflow. ``data`` is what the look found of data that is not in git."""
    wanted = SourceRequest(request.git_uri, request.commit_hash, credentials=look.secrets.source)
    commit = around.source.resolve(wanted, timeout_seconds=GIT_SECONDS, interruption=around.interruption)
    pinned = None
    if request.dataset_repo:
        pinned = pin(
            request.dataset_repo,
            source=around.source,
            credentials=look.secrets.dataset,
            timeout_seconds=GIT_SECONDS,
            interruption=around.interruption,
        )
    version = around.tracking.find_base_model(request.base_model) if request.base_model else None
    compared = inputs_of(request.as_record(), commit_sha=commit, data=pinned or data, base_model_version=version)
    return Inputs(commit, pinned, data, compared)
