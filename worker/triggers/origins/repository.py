"""Looks at data in git or DVC: where a branch of the repository is. DVC's data changes only with a commit."""

from shared.addresses.dataset_address import find_repository
from shared.errors import Code, UserError
from shared.settings import Settings
from shared.triggers.fields import COMMIT
from worker.source.checkout import SourceRequest
from worker.triggers.origins.seam import Asking, Revision


def takes(address: str, _settings: Settings) -> bool:
    """Return whether the address names a repository: it has a revision, or ends in .git."""
    return find_repository(address) is not None


def look(address: str, asking: Asking) -> Revision:
    """Ask the git host for the commit of the branch, without fetching anything."""
    repository = find_repository(address)
    assert repository is not None  # noqa: S101 - takes() said so
    if COMMIT.match(repository.rev):
        message = f"{address} names a commit, which never changes. Name a branch: {repository.url}@main"
        raise UserError(Code.INVALID_PARAMETER, message)
    wanted = SourceRequest(
        repository.url, repository.rev or "HEAD", credentials=asking.credentials, what="the dataset's address"
    )
    seconds, interruption = asking.deadline.remaining_seconds, asking.deadline.interruption
    return Revision(asking.source.find_tip(wanted, timeout_seconds=seconds, interruption=interruption))
