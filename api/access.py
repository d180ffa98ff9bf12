"""Who may use the API: holders of a bearer token or, where no tokens are set, programs on this machine only."""

import hashlib
import hmac
import logging
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from flask import Flask, Request, request

from api.errors import NotAuthenticated, NotFromThisMachine
from shared.errors import ConfigurationError
from shared.settings import LOOPBACK, Settings

logger = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
OPEN_FOLDER = "/docs/"
HOW_TO_OPEN = "Without tokens this API serves its own machine only. Set API_TOKENS to serve others."


class Access:
    """Decides on each request. Keeps the tokens' hashes only."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._hashes = [_hash(token) for token in tokens]

    def check(self, asked: Request) -> None:
        """Raise NotAuthenticated or NotFromThisMachine unless the request may go on."""
        if asked.path in OPEN_PATHS or asked.path.startswith(OPEN_FOLDER):
            return
        if self._hashes:
            self._check_token(asked)
        elif not (_is_loopback_peer(asked.remote_addr) and _is_loopback_name(asked.headers.get("Host", ""))):
            raise NotFromThisMachine(HOW_TO_OPEN)

    def _check_token(self, asked: Request) -> None:
        sent = asked.authorization
        if sent is None or sent.type != "bearer" or not sent.token:
            raise NotAuthenticated("This API needs a token: send the header Authorization: Bearer <token>.")
        presented = _hash(sent.token)
        if not any(hmac.compare_digest(presented, known) for known in self._hashes):
            raise NotAuthenticated("This token is none of those in API_TOKENS.")


def register(app: Flask, settings: Settings) -> None:
    """Check every request."""
    access = Access(token.get_secret_value() for token in settings.api_tokens)

    @app.before_request
    def check_access() -> None:
        access.check(request)


def require_tokens_on_public_address(settings: Settings) -> None:
    """Refuse to start where everybody could send jobs; say so where everybody on this machine can."""
    if settings.api_tokens:
        return
    if settings.serves_public_address:
        raise ConfigurationError(
            f"API_HOST is {settings.api_host}, which other machines can reach, and API_TOKENS is empty. Set API_TOKENS "
            "to one or more secret words, or API_HOST to 127.0.0.1."
        )
    logger.warning("no API_TOKENS: serving this machine only", extra={"api_host": settings.api_host})


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _is_loopback_peer(address: str | None) -> bool:
    try:
        peer = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        return peer.ipv4_mapped.is_loopback
    return peer.is_loopback


def _is_loopback_name(host: str) -> bool:
    """Whether the caller asked for this machine by name: a page whose own name points here (DNS rebinding) did not."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False
