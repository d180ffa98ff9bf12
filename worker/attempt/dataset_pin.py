"""Pins the revision of a job's data: all attempts use the one that the first attempt found."""

import logging
from collections.abc import Mapping

from mypackage.protocol import PINNED_DATASET_VARIABLE
from shared.addresses.dataset_address import find_repository
from shared.addresses.git_uri import Credentials
from shared.errors import AttemptCancelled, AttemptError
from worker.interruption import NEVER, Interruption
from worker.source.checkout import GitSource, SourceRequest

logger = logging.getLogger(__name__)

PLAIN_URL_SECONDS = 60.0  # because the training waits for it


def pin(
    dataset_repo: str,
    *,
    source: GitSource,
    credentials: Credentials | None,
    timeout_seconds: float,
    interruption: Interruption = NEVER,
) -> str | None:
    """Return the address with the full revision in it.

    None if it may not be a git repository (neither @rev nor .git in it), if GIT_SCHEMES and GIT_HOSTS forbid asking,
    or if a plain URL does not answer: perhaps only the training can reach that host. The training then uses what it
    finds, and records what that was.
    """
    repository = find_repository(dataset_repo)
    if repository is None or not source.allows(repository.url):
        return None
    wanted = SourceRequest(repository.url, repository.rev or "HEAD", credentials=credentials, what="dataset_repo")
    if repository.rev:
        return repository.at(source.resolve(wanted, timeout_seconds=timeout_seconds, interruption=interruption))
    seconds = min(timeout_seconds, PLAIN_URL_SECONDS)
    try:
        return repository.at(source.resolve(wanted, timeout_seconds=seconds, interruption=interruption))
    except AttemptCancelled:
        raise
    except AttemptError as error:
        logger.warning("data not pinned", extra={"uri": repository.url, "cause": error.message})
        return None


def as_parameter(dataset_repo: str, pinned: str | None) -> str:
    """Return the project's dataset_repo: a plain URL stays one, for projects that do not know about revisions."""
    repository = find_repository(dataset_repo)
    return pinned if pinned and repository and (repository.rev or repository.path) else dataset_repo


def environment(pinned: str | None) -> Mapping[str, str]:
    """Return the variable by which mypackage uses the pinned revision even of a plain URL."""
    return {PINNED_DATASET_VARIABLE: pinned} if pinned else {}
