"""Checks what is asked for against the rules of who asks (POLICY_FILE)."""

from api.access.authorisation import current_caller
from api.http.errors import FieldError, InvalidRequest
from api.services import Services
from shared.access.callers import Maker
from shared.jobs.triggers import Trigger
from shared.policy.asked import bounded, not_permitted, too_high
from shared.requests.retrain_request import RetrainRequest

CODE = "NOT_PERMITTED"


def permitted(request: RetrainRequest, services: Services) -> RetrainRequest:
    """Return the request within what its sender may have where it says nothing; raise InvalidRequest for the rest."""
    return permitted_for(current_caller().as_maker, request, services)


def require_permitted_priority(priority: int, services: Services) -> None:
    """Raise InvalidRequest if a request of the caller might not ask for this priority."""
    caller = current_caller()
    if wrong := too_high(priority, services.policy.rules_of(caller.team, caller.roles)):
        raise InvalidRequest([FieldError("body", each.pointer, each.message, CODE) for each in wrong])


def permitted_for(
    maker: Maker | Trigger, request: RetrainRequest, services: Services, *, below: str = ""
) -> RetrainRequest:
    """Likewise for the maker of a trigger; ``below`` is where in the body the request stands."""
    rules = services.policy.rules_of(maker.team, maker.roles)
    asked = bounded(request, rules, services.settings)
    if wrong := not_permitted(asked, rules):
        raise InvalidRequest([FieldError("body", f"{below}{each.pointer}", each.message, CODE) for each in wrong])
    return asked
