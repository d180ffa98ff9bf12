"""Callers with tokens of the store, as tests need them."""

from shared.access.roles import Role
from shared.access.tokens import NewToken, Tokens, hash_of, hint_of, new_token


def sent_by(store: Tokens, name: str, *roles: Role, team: str | None = None) -> dict[str, str]:
    """Return the headers of a request by a new caller."""
    token = new_token()
    new = NewToken(
        name=name,
        hash=hash_of(token),
        hint=hint_of(token),
        roles=frozenset(roles),
        team=team,
        created_by="test",
    )
    store.create_token(new)
    return {"Authorization": f"Bearer {token}"}
