"""Says whether the caller of this request may do what it asks for, and to what it asks it for."""

from typing import cast

from flask import current_app, g, has_request_context, request

from api.http.errors import NotAllowed, NotAuthenticated, NotFromThisMachine, TooManyWrongTokens
from api.http.request_ids import request_id
from shared.access.acts import Act
from shared.access.callers import FILES, NOBODY, Caller, Owned
from shared.access.roles import Right, roles_with

Unknown = NotAuthenticated | NotFromThisMachine | TooManyWrongTokens  # why a sender is nobody so far
TEAMS_ISOLATED = "TEAMS_ISOLATED"  # in the app's config
OPERATORS = " or ".join(roles_with(Right.OPERATE))


def remember_caller(caller: Caller, refusal: Unknown | None = None) -> None:
    """Keep who sends this request, until it is answered."""
    g.caller, g.refusal = caller, refusal


def current_caller() -> Caller:
    """Return who sends this request; without one, triggers are kept as their files say."""
    if not has_request_context():
        return FILES
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


def team_seen() -> str | None:
    """Return the only team whose things exist for the caller of this request; None if all exist."""
    caller = current_caller()
    return caller.team if _teams_are_isolated() and not caller.is_of_all_teams else None


def may_see(thing: Owned) -> bool:
    """Return whether the caller may know of it."""
    return current_caller().may_see(thing, isolated=_teams_are_isolated())


def may_act_on(thing: Owned) -> bool:
    """Return whether the caller may change it."""
    return current_caller().may_act_on(thing, isolated=_teams_are_isolated())


def require_acting_on(thing: Owned, what: str) -> None:
    """Raise NotAllowed unless the caller, who sees it, may also change it."""
    if not may_act_on(thing):
        who = current_caller().name
        raise NotAllowed(f"{what} is not {who}'s own. It takes the role {OPERATORS} to change another's.")


def require_own_team(thing: Owned, what: str) -> None:
    """Raise NotAllowed if it runs with the rights of a team that is not the caller's, or with those of all teams.

    One of an older version, whose maker nobody knows, becomes that of who writes it.
    """
    caller = current_caller()
    is_someones = thing.submitted_by is not None and thing.team != caller.team
    if is_someones and not caller.is_of_all_teams:
        raise NotAllowed(
            f"{what} runs with the rights of {'another team' if thing.team else 'all teams'}. Only callers of "
            f"{'that team, and of ' if thing.team else ''}no team say what it does."
        )


def require_all_teams(what: str) -> None:
    """Raise NotAllowed if teams are isolated and the caller is of one: what belongs to none is not for it to change."""
    if team_seen() is not None:
        raise NotAllowed(f"{what} belong to all teams, which are isolated (TEAMS_ISOLATED). Ask somebody of no team.")


def act(action: str) -> Act:
    """Return the act that this request is."""
    return Act(current_caller(), action, request.remote_addr or "", request_id())


def _teams_are_isolated() -> bool:
    return has_request_context() and bool(current_app.config[TEAMS_ISOLATED])
