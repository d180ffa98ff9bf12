"""The revision of a job's data: what the first attempt found, all others use."""

import logging
from collections.abc import Mapping

from mypackage.protocol import PINNED_DATASET_VARIABLE
from shared.addresses.dataset_address import find_repository
from shared.addresses.git_uri import Credentials
from shared.errors import AttemptCancelled, AttemptError
from worker.interruption import NEVER, Interruption
from worker.source.checkout import GitSource, SourceRequest

logger = logging.getLogger(__name__)

PLAIN_URL_SECONDS = 60.0  # the training waits for it


def pin(
    dataset_repo: str,
    *,
    source: GitSource,
    credentials: Credentials | None,
    timeout_seconds: float,
    interruption: Interruption = NEVER,
) -> str | None:
    """Return the address with the full revision in it.

    None where it is not sure to be a git repository (neither @rev nor .git in it), or where GIT_SCHEMES and GIT_HOSTS
    keep this service from asking, or where a plain URL does not answer it: perhaps only the training reaches that
    host. The training then takes what it finds, and says what that was.
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
    """What the project gets as its dataset_repo: a plain URL stays one, for projects that know of no revisions."""
    repository = find_repository(dataset_repo)
    return pinned if pinned and repository and (repository.rev or repository.path) else dataset_repo


def environment(pinned: str | None) -> Mapping[str, str]:
    """What the training's environment says of it; by this, mypackage keeps to the revision of a plain URL too."""
    return {PINNED_DATASET_VARIABLE: pinned} if pinned else {}
