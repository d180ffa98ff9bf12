"""Finds the origin of an address, and asks it what the data is now."""

from shared.errors import Code, UserError
from worker.credentials.keys import Keys
from worker.source.deadline import Deadline
from worker.triggers.origins import blobs, folder, repository, web
from worker.triggers.origins.seam import Asking, Origin, Revision
from worker.triggers.seam import Around

ORIGINS: tuple[Origin, ...] = (repository, blobs, folder, web)  # the first one that takes an address
LOOK_SECONDS = 60


def can_be_looked_at(address: str, around: Around) -> bool:
    """Return whether any origin takes the address; a mere name is the project's own."""
    return any(origin.takes(address, around.settings) for origin in ORIGINS)


def find_revision(address: str, around: Around, keys: Keys) -> Revision:
    """Return what the data is now; raise AttemptError after a minute, or when that cannot be found out."""
    asking = Asking(
        settings=around.settings,
        source=around.source,
        deadline=Deadline(LOOK_SECONDS, around.interruption),
        credentials=keys.of_data(address),
        account=keys.account_of(address),
    )
    if asking.account:
        return blobs.look(address, asking)
    for origin in ORIGINS:
        if origin.takes(address, around.settings):
            return origin.look(address, asking)
    message = f"{address!r} is not an address that can be looked at: a repository, http(s), azure:// or file:// one."
    raise UserError(Code.INVALID_PARAMETER, message)
