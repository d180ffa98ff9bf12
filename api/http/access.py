"""Decides who may use the API: holders of a bearer token or, if no tokens are set, only programs on this machine.

A web page of another origin may not change anything, tokens or not: a browser sends what any page asks it to.
"""

import hashlib
import hmac
import logging
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from flask import Flask, Request, g, request
from pydantic import SecretStr

from api.http.behind_proxy import find_address
from api.http.errors import ForeignPage, MetricsOnly, NotAuthenticated, NotFromThisMachine
from shared.errors import ConfigurationError
from shared.own_addresses import LOOPBACK
from shared.settings import Settings

logger = logging.getLogger(__name__)

DOCUMENTATION = frozenset({"/", "/openapi.json", "/docs"})
OPEN_FOLDER = "/docs/"
METRICS_PATH = "/metrics"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})  # none: a person, through the address bar or a bookmark
FORWARDED = ("Forwarded", "Via", "X-Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-")
HOW_TO_OPEN = "Without tokens this API serves its own machine only. Set API_TOKENS to serve others."


class Access:
    """Decides about each request. Keeps only the tokens' hashes."""

    def __init__(
        self,
        tokens: Iterable[str],
        *,
        metrics_tokens: Iterable[str] = (),
        public_url: str = "",
        open_paths: Collection[str] = (),
        provable: Collection[str] = (),
    ) -> None:
        self._open_paths = DOCUMENTATION | set(open_paths)
        self._provable = frozenset(provable)
        self._metrics_hashes = [_hash(token) for token in metrics_tokens]
        self._hashes = [_hash(token) for token in tokens]
        public = urlsplit(public_url)
        self._public_origin = f"{public.scheme}://{public.netloc}".lower()
        self._own_names = LOOPBACK | ({public.hostname} if public.hostname else set())

    def check(self, asked: Request) -> NotAuthenticated | NotFromThisMachine | None:
        """Raise ForeignPage, NotAuthenticated, MetricsOnly or NotFromThisMachine unless the request is allowed.

        Where its sender may prove another way that it is, the error is returned: the view raises it without such proof.
        """
        if asked.method not in SAFE_METHODS:
            self._refuse_foreign_page(asked)
        if asked.path in self._open_paths or asked.path.startswith(OPEN_FOLDER):
            return None
        try:
            self._check_sender(asked)
        except (NotAuthenticated, NotFromThisMachine) as refusal:
            if asked.url_rule is None or asked.url_rule.rule not in self._provable:
                raise
            return refusal
        return None

    def _check_sender(self, asked: Request) -> None:
        if self._hashes:
            self._check_token(asked)
        else:
            self._check_machine(asked)

    def _refuse_foreign_page(self, asked: Request) -> None:
        origin, site = asked.headers.get("Origin"), asked.headers.get("Sec-Fetch-Site", "none")
        own = {f"{scheme}://{asked.headers.get('Host', '')}".lower() for scheme in ("http", "https")}
        if site not in OWN_SITES or (origin is not None and origin.lower() not in own | {self._public_origin}):
            raise ForeignPage(
                "A web page of another origin may not change anything here. Send the request from a program, or from "
                "this API's own /docs; where people reach it by another address, set API_PUBLIC_URL to that."
            )

    def _check_token(self, asked: Request) -> None:
        sent = asked.authorization
        if sent is None or sent.type != "bearer" or not sent.token:
            raise NotAuthenticated("This API needs a token: send the header Authorization: Bearer <token>.")
        presented = _hash(sent.token)
        if _is_among(presented, self._metrics_hashes):
            if asked.path != METRICS_PATH or asked.method not in SAFE_METHODS:
                raise MetricsOnly("This token is one of METRICS_TOKENS: it reads GET /metrics, and nothing else.")
        elif not _is_among(presented, self._hashes):
            raise NotAuthenticated("This token is not one of those in API_TOKENS.")

    def _check_machine(self, asked: Request) -> None:
        if not (_is_loopback_peer(asked.remote_addr) and self._is_own_name(asked.headers.get("Host", ""))):
            raise NotFromThisMachine(HOW_TO_OPEN)
        if told := [name for name, _ in asked.headers if name.title().startswith(FORWARDED)]:
            raise NotFromThisMachine(
                f"{HOW_TO_OPEN} This request came through a proxy (it has the header {told[0].title()}), which would "
                "let in everybody who can reach the proxy."
            )

    def _is_own_name(self, host: str) -> bool:
        """Return whether the caller used this machine's own name, which a page with DNS rebinding does not."""
        try:
            return urlsplit(f"//{host}").hostname in self._own_names
        except ValueError:
            return False


def register(app: Flask, settings: Settings, *, open_paths: Collection[str], provable: Collection[str] = ()) -> None:
    """Check every request except those for the documentation and these paths."""
    access = Access(
        _texts(settings.api_tokens),
        metrics_tokens=_texts(settings.metrics_tokens),
        public_url=settings.api_public_url,
        open_paths=open_paths,
        provable=provable,
    )

    @app.before_request
    def check_access() -> None:
        g.refusal = access.check(request)


def refusal() -> NotAuthenticated | NotFromThisMachine | None:
    """Return why the sender of this request has to prove another way that it may send it."""
    found: NotAuthenticated | NotFromThisMachine | None = g.get("refusal")
    return found


def _texts(secrets: Iterable[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def require_tokens_on_public_address(settings: Settings) -> None:
    """Refuse to start if everybody could send jobs; log a warning if everybody on this machine can."""
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


def _is_among(presented: bytes, known: Iterable[bytes]) -> bool:
    return any(hmac.compare_digest(presented, each) for each in known)


def _is_loopback_peer(address: str | None) -> bool:
    peer = find_address(address or "")
    return peer is not None and peer.is_loopback
