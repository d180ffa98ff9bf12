"""Looks up what a job of a trigger would train on, so that one with the same inputs need not start."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.addresses.dataset_address import find_repository
from shared.errors import AttemptCancelled, AttemptError
from shared.requests.retrain_request import RetrainRequest
from shared.triggers.inputs import inputs_of
from worker.attempt.dataset_pin import pin
from worker.source.checkout import SourceRequest
from worker.triggers.origins.finding import can_be_looked_at, find_revision
from worker.triggers.seam import Around, DataSeen, Look

GIT_SECONDS = 60

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """What was found, which the job then trains on; ``compared`` is None if not all of it could be found."""

    commit_sha: str | None = None
    dataset_repo: str | None = None
    base_model_version: str | None = None
    data: str | None = None  # what the request's data was, if it is not in git
    watched: str | None = None  # what other data was, which the trigger watches
    compared: Mapping[str, Any] | None = None


def seen_inputs(request: RetrainRequest, *, pinned: str | None, seen: DataSeen | None) -> Inputs:
    """Return what the look itself has found; ``pinned`` is the template's data at the revision that it saw."""
    own = request.dataset_repo
    pinned = pinned if pinned and _repository(pinned) == _repository(own) else None  # the template may have changed
    if seen is None or pinned:
        return Inputs(dataset_repo=pinned)
    if seen.address == own:
        return Inputs(data=None if find_repository(seen.address) else seen.revision)
    return Inputs(watched=seen.revision)


def find_inputs(look: Look, request: RetrainRequest, around: Around, known: Inputs) -> Inputs:
    """Ask the git host, MLflow and where the data is for what is not known yet."""
    wanted = SourceRequest(request.git_uri, request.commit_hash, credentials=look.secrets.source)
    commit = around.source.resolve(wanted, timeout_seconds=GIT_SECONDS, interruption=around.interruption)
    pinned, data = known.dataset_repo, known.data
    if request.dataset_repo and not pinned and not data:
        pinned, data = _find_data(look, request.dataset_repo, around)
    version = around.tracking.find_base_model(request.base_model) if request.base_model else None
    compared = inputs_of(
        request.as_record(),
        commit_sha=commit,
        data=pinned or data,
        base_model_version=version,
        watched=known.watched,
    )
    return Inputs(commit, pinned, version, data, known.watched, compared)


def _find_data(look: Look, address: str, around: Around) -> tuple[str | None, str | None]:
    """Return the pinned address of a repository, or else what the data is now; neither if only trainings get there."""
    credentials = look.secrets.dataset
    if find_repository(address):
        interruption = around.interruption
        source, seconds = around.source, GIT_SECONDS
        return (
            pin(address, source=source, credentials=credentials, timeout_seconds=seconds, interruption=interruption),
            None,
        )
    if not can_be_looked_at(address, around):
        return None, None
    try:
        return None, find_revision(address, around, credentials=credentials).text
    except AttemptCancelled:
        raise
    except AttemptError as error:
        logger.warning("data not compared", extra={"cause": error.message})
        return None, None


def _repository(address: str | None) -> str | None:
    found = find_repository(address or "")
    return found.url if found else None
