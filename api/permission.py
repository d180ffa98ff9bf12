"""Checks what is asked for against the rules of who asks (POLICY_FILE)."""

from collections.abc import Iterable

from api.access.authorisation import current_caller
from api.http.errors import FieldError, InvalidRequest
from api.services import Services
from shared.policy.asked import bounded, not_permitted
from shared.policy.rules import Rules
from shared.requests.retrain_request import RetrainRequest

CODE = "NOT_PERMITTED"


def permitted(request: RetrainRequest, services: Services, *, below: str = "") -> RetrainRequest:
    """Return the request within what its sender may have where it says nothing; raise InvalidRequest for the rest."""
    caller = current_caller()
    return within(request, services.policy.rules_of(caller.team, caller.roles), services, below=below)


def permitted_for(
    team: str | None, roles: Iterable[str], request: RetrainRequest, services: Services, *, below: str
) -> RetrainRequest:
    """Likewise, for the maker of a trigger."""
    return within(request, services.policy.rules_of(team, roles), services, below=below)


def within(request: RetrainRequest, rules: Rules, services: Services, *, below: str) -> RetrainRequest:
    """Return the request within the rules; ``below`` is where in the body it stands."""
    asked = bounded(request, rules, services.settings)
    if wrong := not_permitted(asked, rules):
        raise InvalidRequest([FieldError("body", f"{below}{each.pointer}", each.message, CODE) for each in wrong])
    return asked
