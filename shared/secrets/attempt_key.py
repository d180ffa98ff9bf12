"""Derives the keys of attempts' tokens from SECRET_KEY. Needs only Python: `make secrets` runs before installation."""

import hashlib
import hmac

from shared.secrets.keys import keys_in

PURPOSE = b"retrain: tokens of attempts"


def attempt_key(secret_key: str) -> str:
    """Return the key, or one for each of several; it says nothing about the key that it is derived from."""
    return ",".join(hmac.new(key.encode(), PURPOSE, hashlib.sha256).hexdigest() for key in keys_in(secret_key))
