"""How a sender proves that it knows a trigger's secret: by a signature of what it sent, or by the secret itself."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from api.hooks.sent import Sent

OLDEST_SECONDS = 300  # as Standard Webhooks has it
HEX = re.compile(r"[0-9a-fA-F]{64}")
UNIX_TIME = re.compile(r"[0-9]{1,11}")
MOST_SIGNATURES = 5  # of one request: two while its secret is replaced
STANDARD_PREFIX = "whsec_"


class Proof(Protocol):
    """What came with a request to prove who sent it."""

    @property
    def is_old(self) -> bool:
        """Whether it was made too long ago to be believed."""

    def is_by(self, secret: str) -> bool:
        """Return, in constant time, whether who made it knows the secret."""


@dataclass(frozen=True)
class Bearer:
    """The secret itself."""

    given: str
    is_old: bool = False

    def is_by(self, secret: str) -> bool:
        """Compare hashes, which have one length."""
        given = self.given.encode("latin-1", "replace")  # as WSGI reads headers
        return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(secret.encode()).digest())


def _as_it_is(secret: str) -> bytes | None:
    return secret.encode()


def standard_key(secret: str) -> bytes | None:
    """Return the key of Standard Webhooks: what stands in base64 after whsec_."""
    if not secret.startswith(STANDARD_PREFIX):
        return None
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None


@dataclass(frozen=True)
class Signature:
    """HMAC-SHA256 of ``signed`` under the secret; one of ``given`` has to be it."""

    signed: bytes
    given: tuple[bytes, ...]
    is_old: bool = False
    key_of: Callable[[str], bytes | None] = _as_it_is

    def is_by(self, secret: str) -> bool:
        """Compare all of them."""
        if not (key := self.key_of(secret)):
            return False
        right = hmac.digest(key, self.signed, "sha256")
        return any(hmac.compare_digest(right, each) for each in self.given)


def hex_signature(sent: Sent, name: str, *, prefix: str = "", is_old: bool = False) -> tuple[Proof, ...]:
    """Return the signature of the body in this header, if there is one."""
    given = sent.header(name).removeprefix(prefix)
    return (Signature(sent.body, (bytes.fromhex(given),), is_old),) if HEX.fullmatch(given) else ()


def timed_signature(
    sent: Sent, *, signature: str, timestamp: str, id_: str, key_of: Callable[[str], bytes | None] = _as_it_is
) -> tuple[Proof, ...]:
    """Return the signature of ``id.timestamp.body`` in these headers, as Standard Webhooks and MLflow write it."""
    given = tuple(_decoded(each[3:]) for each in sent.header(signature).split(" ") if each.startswith("v1,"))
    known = tuple(each for each in given if each)[:MOST_SIGNATURES]
    if not known:
        return ()
    head = f"{sent.header(id_)}.{sent.header(timestamp)}.".encode("latin-1", "replace")
    return (Signature(head + sent.body, known, is_old(sent.header(timestamp), sent.at), key_of),)


def is_old(unix_time: str, now: datetime, *, seconds: float = OLDEST_SECONDS) -> bool:
    """Return whether the time is too far away; what is not a time is."""
    if not UNIX_TIME.fullmatch(unix_time):
        return True
    return abs(now.timestamp() - datetime.fromtimestamp(int(unix_time), UTC).timestamp()) > seconds


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
