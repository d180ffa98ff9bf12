"""Defines tokens: what a caller holds, and what is recorded of it. The token itself is shown once and never stored."""

import hashlib
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.access.callers import ENVIRONMENT, FILES, GATE, MACHINE, METRICS_READER, NOBODY, Caller, CallerKind
from shared.access.roles import Role
from shared.secrets.token_form import LENGTH, PREFIX

SIGNS = string.ascii_letters + string.digits
TOKEN = re.compile(rf"^{PREFIX}[A-Za-z0-9]{{{LENGTH}}}$")
TOKEN_NAME = TEAM = r"^[a-z0-9][a-z0-9._-]{0,62}$"  # noqa: S105 - a pattern
ME = "me"  # where callers are named: whoever asks
RESERVED = frozenset({FILES.name, GATE.name, MACHINE.name, ME, METRICS_READER.name, NOBODY.name})
HINT_LENGTH = len(PREFIX) + 4


def is_team(word: str) -> bool:
    """Return whether a team may be called so."""
    return re.match(TEAM, word) is not None


def new_token() -> str:
    """Return a token that nobody can guess."""
    return PREFIX + "".join(secrets.choice(SIGNS) for _ in range(LENGTH))


def hash_of(token: str) -> str:
    """Return what is stored of a token: its SHA-256, which is enough because it has 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def hint_of(token: str) -> str:
    """Return the beginning, by which people recognise it."""
    return token[:HINT_LENGTH]


def unreserved(name: str) -> str:
    """Return a token's name; raise ValueError for one that callers without a record have."""
    if name in RESERVED or name.startswith(ENVIRONMENT):
        raise ValueError(f"is reserved, as are {', '.join(sorted(RESERVED))} and all that begin with {ENVIRONMENT}")
    return name


class TokenState(StrEnum):
    """Whether a token opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token to record."""

    name: str
    hash: str = field(repr=False)
    hint: str
    roles: frozenset[Role]
    team: str | None = None
    created_by: str
    expires_in_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """What is known of a token. Times are from the database's clock."""

    id: str
    name: str
    hint: str
    roles: frozenset[Role]
    team: str | None
    created_at: datetime
    created_by: str
    rotated_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None  # to the minute

    @property
    def caller(self) -> Caller:
        """Who its holder is."""
        return Caller(self.name, CallerKind.TOKEN, self.roles, self.team, self.id)

    def state(self, now: datetime) -> TokenState:
        """Return whether it opens anything at this time."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        return TokenState.EXPIRED if self.expires_at is not None and self.expires_at <= now else TokenState.ACTIVE


class Tokens(Protocol):
    """The record of tokens. Every method is one transaction; each may raise StoreUnavailable."""

    def create_token(self, new: NewToken) -> TokenRecord:
        """Record it; raise TokenExists if the name is taken, be it by one that was revoked or has expired."""

    def find_token(self, hashed: str) -> TokenRecord | None:
        """Return the token with this hash, and note that it was used; None if there is none, or not any more."""

    def get_token(self, name: str) -> TokenRecord:
        """Return it, or raise TokenNotFound."""

    def list_tokens(self) -> Sequence[TokenRecord]:
        """Return all, by name; those that were revoked or have expired too."""

    def rotate_token(self, name: str, *, hashed: str, hint: str, overlap_seconds: float) -> TokenRecord:
        """Give it another secret; the one before works for that long still. Raise TokenNotFound, TokenEnded."""

    def revoke_token(self, name: str) -> TokenRecord:
        """Let nobody in by it any more; again changes nothing. Raise TokenNotFound."""

    def has_admin_token(self) -> bool:
        """Return whether somebody could administer with a token of the record."""
