"""Signs and verifies the token by which a training shows the guard before MLflow which attempt it is. Pure.

The worker signs, the guard verifies, and neither asks a database. The same grant always gives the same token, so that
a worker that takes an attempt over knows what to redact from its log.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from shared.secrets.keys import keys_in

SALT = b"retrain.attempt"


@dataclass(frozen=True)
class Grant:
    """What a token says: the attempt, its MLflow run, the only model that it may register (None for any), its end."""

    job_id: str
    attempt: int
    run_id: str
    experiment_id: str
    model_name: str | None
    expires_at: int  # seconds since the epoch


class InvalidToken(ValueError):
    """The token is not one of ours, or not valid any more; the message says which."""


def issue(grant: Grant, key: str) -> str:
    """Return the attempt's token; of several keys the last one signs it."""
    return str(_serializer(key).dumps(asdict(grant)))


def issued(grant: Grant, key: str) -> tuple[str, ...]:
    """Return every token that the attempt may have got: before or after the key was rotated."""
    return tuple(issue(grant, each) for each in keys_in(key))


def verify(token: str, key: str, *, now: float) -> Grant:
    """Return what the token says; raise InvalidToken if this key did not sign it, or its time is over."""
    try:
        grant = _grant(_serializer(key).loads(token))
    except (BadData, TypeError, ValueError) as error:
        raise InvalidToken("its token was not signed by this service") from error
    if now >= grant.expires_at:
        raise InvalidToken("its token has expired")
    return grant


def _grant(said: Any) -> Grant:
    return Grant(**said)


def _serializer(key: str) -> URLSafeSerializer:
    keys = keys_in(key)
    if not keys:
        raise ValueError("The key of attempts' tokens is empty.")
    return URLSafeSerializer(list(keys), salt=SALT, signer_kwargs={"digest_method": hashlib.sha256})
