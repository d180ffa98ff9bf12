"""Defines sessions of the page: who once showed a token is known by a cookie, until it signs out or hours pass."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.access.tokens import TokenRecord

# Several browsers for each of those who share a token. It bounds the record, and what a stolen token can leave behind.
MOST_OF_A_TOKEN = 100


def new_cookie() -> str:
    """Return a cookie that nobody can guess."""
    return secrets.token_urlsafe(32)


def proof_of(cookie: str, token_hash: bytes) -> str:
    """Return what shows that the holder of this cookie showed that token of the settings.

    It tells nothing of the token to whom reads the database: the cookie, which has 256 random bits, is the key.
    """
    return hmac.new(cookie.encode(), token_hash, hashlib.sha256).hexdigest()


def place_of_proof(cookie: str, proof: str, token_hashes: Sequence[bytes]) -> int | None:
    """Return the place of the token that was shown among those of the settings; None if it is there no more."""
    found = [hmac.compare_digest(proof_of(cookie, each), proof) for each in token_hashes]
    return found.index(True) if True in found else None


@dataclass(frozen=True, kw_only=True)
class NewSession:
    """A session to record: of a token of the record, or with a proof of one of the settings."""

    hash: str = field(repr=False)  # of the cookie
    holder: str  # whose sessions are counted together: the token's id, or the name of one of the settings
    token_id: str | None = None
    proof: str = field(default="", repr=False)
    expires_in_seconds: float


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session that lasts. Times are from the database's clock."""

    token: TokenRecord | None
    proof: str = field(repr=False)
    expires_at: datetime


class Sessions(Protocol):
    """The record of sessions. Every method is one transaction; each may raise StoreUnavailable."""

    def create_session(self, new: NewSession) -> None:
        """Record it, and forget those that are over, and its holder's oldest beyond MOST_OF_A_TOKEN."""

    def find_session(self, hashed: str) -> Session | None:
        """Return the session of the cookie with this hash.

        None if there is none, or it is over, or its token has ended or got another secret since.
        """

    def end_session(self, hashed: str) -> None:
        """Let nobody in by this cookie any more; again changes nothing."""
