"""Looks up what a job of a trigger would train on, so that one with the same inputs need not start."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.addresses.dataset_address import DatasetRepository, find_repository
from shared.errors import AttemptError
from shared.requests.retrain_request import RetrainRequest
from shared.triggers.inputs import inputs_of
from worker.source.checkout import SourceRequest
from worker.source.deadline import Deadline
from worker.source.resolve import FULL_SHA, SHORT_SHA
from worker.triggers.origins.finding import LOOK_SECONDS, can_be_looked_at, find_revision
from worker.triggers.seam import Around, DataSeen, Look

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
    """Ask the git host, MLflow and where the data is for what is not known yet; a minute, and nothing is fetched."""
    deadline = Deadline(LOOK_SECONDS, around.interruption)
    wanted = SourceRequest(request.git_uri, request.commit_hash, credentials=look.secrets.source)
    commit = _commit(wanted, around, deadline)
    pinned, data = known.dataset_repo, known.data
    if request.dataset_repo and not pinned and not data:
        if (repository := find_repository(request.dataset_repo)) is not None:
            pinned = _pin(repository, look, around, deadline)
        else:
            data = _find_data(request.dataset_repo, look, around)
    version = around.tracking.find_base_model(request.base_model) if request.base_model else None
    compared = inputs_of(
        request.as_record(),
        commit_sha=commit,
        data=pinned or data,
        base_model_version=version,
        watched=known.watched,
    )
    return Inputs(commit, pinned, version, data, known.watched, compared)


def _commit(wanted: SourceRequest, around: Around, deadline: Deadline) -> str:
    """Return the commit of a branch, tag or SHA. Only a short SHA needs the repository itself."""
    if FULL_SHA.match(wanted.ref.lower()):
        return wanted.ref.lower()
    find = around.source.resolve if SHORT_SHA.match(wanted.ref.lower()) else around.source.find_tip
    return find(wanted, timeout_seconds=deadline.remaining_seconds, interruption=around.interruption)


def _pin(repository: DatasetRepository, look: Look, around: Around, deadline: Deadline) -> str | None:
    """Return the address with its commit in it; None if perhaps only the training can reach that host."""
    if not around.source.allows(repository.url):
        return None
    wanted = SourceRequest(
        repository.url, repository.rev or "HEAD", credentials=look.secrets.of_data(repository.url), what="dataset_repo"
    )
    try:
        return repository.at(_commit(wanted, around, deadline))
    except AttemptError as error:
        if repository.rev:
            raise
        _tell(error)
        return None


def _find_data(address: str, look: Look, around: Around) -> str | None:
    """Return what data outside git is now; None if perhaps only the training can reach it."""
    if not can_be_looked_at(address, around):
        return None
    try:
        return find_revision(address, around, look.secrets).text
    except AttemptError as error:
        _tell(error)
        return None


def _tell(error: AttemptError) -> None:
    logger.warning("data not compared", extra={"cause": error.message})


def _repository(address: str | None) -> str | None:
    found = find_repository(address or "")
    return found.url if found else None
