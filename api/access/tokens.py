"""Issues, rotates and revokes tokens for administrators."""

from collections.abc import Iterable
from datetime import UTC, datetime

from api.access.known_tokens import KnownTokens
from api.http.errors import LastAdministrator
from shared.access.callers import Caller
from shared.access.roles import Role
from shared.access.tokens import NewToken, TokenRecord, Tokens, TokenState, hash_of, hint_of, new_token

DAY_SECONDS = 86_400
HOUR_SECONDS = 3600


def issue_token(
    store: Tokens, name: str, *, roles: Iterable[Role], team: str | None, days: float | None, by: Caller
) -> tuple[TokenRecord, str]:
    """Record a new token; return it with its secret, which nobody can read later."""
    secret = new_token()
    new = NewToken(
        name=name,
        hash=hash_of(secret),
        hint=hint_of(secret),
        roles=frozenset(roles),
        team=team,
        created_by=by.name,
        expires_in_seconds=days * DAY_SECONDS if days is not None else None,
    )
    return store.create_token(new), secret


def change_secret(store: Tokens, name: str, *, overlap_hours: float, known: KnownTokens) -> tuple[TokenRecord, str]:
    """Replace its secret; return it with the new one."""
    secret, overlap_seconds = new_token(), overlap_hours * HOUR_SECONDS
    hashed, hint = hash_of(secret), hint_of(secret)
    rotated = store.rotate_token(name, hashed=hashed, hint=hint, overlap_seconds=overlap_seconds)
    known.forget()
    return rotated, secret


def revoke_token(store: Tokens, name: str, *, known: KnownTokens, may_be_last: bool) -> TokenRecord:
    """Let nobody in by it any more; raise LastAdministrator if nobody could administer then."""
    if not may_be_last:
        _require_other_administrator(store, name)
    revoked = store.revoke_token(name)
    known.forget()
    return revoked


def _require_other_administrator(store: Tokens, name: str) -> None:
    """Two revocations at the same time may pass both: API_TOKENS opens the API again."""
    now = datetime.now(UTC)
    administrators = {
        each.name for each in store.list_tokens() if Role.ADMIN in each.roles and each.state(now) is TokenState.ACTIVE
    }
    if administrators == {name}:
        raise LastAdministrator(
            f"{name} is the last token of an administrator, and API_TOKENS is empty: without it nobody could make "
            "another. Create one first, or set API_TOKENS."
        )
