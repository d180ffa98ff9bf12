"""Derives the key of attempts' tokens from SECRET_KEY. Needs only Python: `make secrets` runs before installation."""

import hashlib
import hmac

PURPOSE = b"retrain: tokens of attempts"


def attempt_key(secret_key: str) -> str:
    """Return the key; it says nothing about the key that it is derived from."""
    return hmac.new(secret_key.strip().encode(), PURPOSE, hashlib.sha256).hexdigest()
