"""Says whether the caller of this request may do what it asks for, and to what it asks it for."""

from typing import cast

from flask import g, request

from api.http.errors import NotAllowed, NotAuthenticated, NotFromThisMachine, TooManyWrongTokens
from api.http.request_ids import request_id
from shared.access.acts import Act
from shared.access.callers import NOBODY, Caller
from shared.access.roles import Right, roles_with

Unknown = NotAuthenticated | NotFromThisMachine | TooManyWrongTokens  # why a sender is nobody so far


def remember_caller(caller: Caller, refusal: Unknown | None = None) -> None:
    """Keep who sends this request, until it is answered."""
    g.caller, g.refusal = caller, refusal


def current_caller() -> Caller:
    """Return who sends this request."""
    return cast(Caller, g.get("caller", NOBODY))


def refusal() -> Unknown | None:
    """Return why the sender of this request has to prove another way that it may send it."""
    return cast(Unknown | None, g.get("refusal"))


def is_to_be_proven() -> bool:
    """Return whether the view itself has to find out who sends this request."""
    return refusal() is not None


def require(right: Right) -> None:
    """Raise NotAllowed unless the caller has the right."""
    caller = current_caller()
    if right not in caller.rights:
        roles = " or ".join(roles_with(right))
        has = ", ".join(sorted(caller.roles)) or "none"
        raise NotAllowed(f"This needs the role {roles}; {caller.name} has {has}. An administrator gives roles.")


def act(action: str) -> Act:
    """Return the act that this request is."""
    return Act(current_caller(), action, request.remote_addr or "", request_id())
