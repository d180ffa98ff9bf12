"""Finds out who sends a request: the holder of a token, or a person of single sign-on.

Where neither is set up, it is a program on this machine.

A web page of another origin may not change anything, tokens or not: a browser sends what any page asks it to.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, Request, request
from pydantic import SecretStr

from api.access.authorisation import Unknown, remember_caller
from api.access.known_tokens import KnownTokens
from api.access.signed_in import SignedIn
from api.access.wrong_tokens import LONG, WrongTokens
from api.http.behind_proxy import find_address
from api.http.errors import ForeignPage, MetricsOnly, NotAuthenticated, NotFromThisMachine, TooManyWrongTokens
from api.sign_on.signing_on import SignOn, is_signed_token
from shared.access.callers import MACHINE, METRICS_READER, NOBODY, Caller, environment_caller
from shared.access.roles import Role
from shared.access.sessions import Sessions
from shared.access.tokens import TOKEN, Tokens, hash_of
from shared.errors import ConfigurationError
from shared.own_addresses import LOOPBACK
from shared.settings import Settings

logger = logging.getLogger(__name__)

OPEN = frozenset({"/", "/openapi.json", "/docs", "/ui/sign-in"})
OPEN_FOLDERS = ("/docs/", "/ui/static/")
METRICS_PATH = "/metrics"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})  # none: a person, through the address bar or a bookmark
FORWARDED = ("Forwarded", "Via", "X-Forwarded", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-")
HOW_TO_OPEN = "Without tokens this API serves its own machine only. Set API_TOKENS to serve others."
NEEDS_TOKEN = "This API needs a token: send the header Authorization: Bearer <token>."  # noqa: S105 - a message


@dataclass(frozen=True)
class Identified:
    """Who sends a request; where its sender may prove another way that it may, why it is nobody."""

    caller: Caller
    refusal: Unknown | None = None


class Authentication:
    """Says of each request who sends it. Keeps only hashes of tokens."""

    def __init__(
        self,
        settings: Settings,
        known: KnownTokens,
        sessions: Sessions,
        *,
        open_paths: Collection[str] = (),
        provable: Collection[str] = (),
    ) -> None:
        tokens, metrics_tokens = _texts(settings.api_tokens), _texts(settings.metrics_tokens)
        self._known = known
        self._sign_on = SignOn.of(settings)
        self._serves_machine = serves_machine(settings)
        self._open_paths = OPEN | set(open_paths)
        self._provable = frozenset(provable)
        self._metrics_hashes = [_hash(token) for token in metrics_tokens]
        self._hashes = [_hash(token) for token in tokens]
        self.signed_in = SignedIn(sessions, self._hashes, seconds=settings.ui_session_hours * 3600)
        self._wrong = WrongTokens(_hash(token) for token in (*tokens, *metrics_tokens) if len(token) >= LONG)
        public = urlsplit(settings.api_public_url)
        self._public_origin = f"{public.scheme}://{public.netloc}".lower()
        self._own_names = LOOPBACK | ({public.hostname} if public.hostname else set())

    def identify(self, asked: Request) -> Identified:
        """Return who sends it. Raises ForeignPage, NotAuthenticated, MetricsOnly or NotFromThisMachine."""
        if asked.method not in SAFE_METHODS:
            self._refuse_foreign_page(asked)
        if asked.path in self._open_paths or asked.path.startswith(OPEN_FOLDERS):
            return Identified(NOBODY)
        try:
            return Identified(self._identify(asked))
        except (NotAuthenticated, NotFromThisMachine, TooManyWrongTokens) as refusal:
            if asked.url_rule is None or asked.url_rule.rule not in self._provable:
                raise
            return Identified(NOBODY, refusal)

    def _identify(self, asked: Request) -> Caller:
        token = bearer_token(asked)
        if token is None and (person := self.signed_in.find_caller(asked)):
            return person
        is_of_record = token is not None and TOKEN.match(token) is not None
        if self._serves_machine and not is_of_record:
            self._check_machine(asked)
            return MACHINE
        if person := self._sign_on.find_caller(asked, token):
            return person
        if not token:
            raise NotAuthenticated(NEEDS_TOKEN + self._sign_on.proxy.hint(asked))
        return self._holder(asked, token)

    def watch(self, asked: Request) -> Callable[[], bool]:
        """Return what says whether the token or the session of this request has ended since."""
        token = bearer_token(asked)
        return self.signed_in.watch(asked) if token is None else self._known.watch(token)

    def sign_in(self, asked: Request, token: str) -> str:
        """Return the cookie of a new session for who holds the token. Raises as ``identify`` does."""
        if is_signed_token(token):
            raise NotAuthenticated("This is a signed token of single sign-on, for programs. Enter one of this service.")
        return self.signed_in.begin(asked, self._holder(asked, token), token)

    def _holder(self, asked: Request, token: str) -> Caller:
        hashed, is_of_record = _hash(token), TOKEN.match(token) is not None
        self._wrong.check(asked.remote_addr, hashed, is_of_record=is_of_record)
        try:
            found = self._holder_of(token) if is_of_record else self._holder_of_setting(asked, hashed)
        except NotAuthenticated:
            self._wrong.was_wrong(asked.remote_addr, hashed)
            raise
        self._wrong.was_right(hashed)
        return found

    def _holder_of(self, token: str) -> Caller:
        found = self._known.find(hash_of(token))
        if found is None:
            raise NotAuthenticated("This token is unknown, has expired or was revoked. An administrator makes another.")
        return found.caller

    def _holder_of_setting(self, asked: Request, presented: bytes) -> Caller:
        if _place(presented, self._metrics_hashes) is not None:
            if asked.path != METRICS_PATH or asked.method not in SAFE_METHODS:
                raise MetricsOnly("This token is one of METRICS_TOKENS: it reads GET /metrics, and nothing else.")
            return METRICS_READER
        place = _place(presented, self._hashes)
        if place is None:
            raise NotAuthenticated("This token is neither one of API_TOKENS, nor one that this API has made.")
        return environment_caller(place + 1)

    def _refuse_foreign_page(self, asked: Request) -> None:
        origin, site = asked.headers.get("Origin"), asked.headers.get("Sec-Fetch-Site", "none")
        own = {f"{scheme}://{asked.headers.get('Host', '')}".lower() for scheme in ("http", "https")}
        if site not in OWN_SITES or (origin is not None and origin.lower() not in own | {self._public_origin}):
            raise ForeignPage(
                "A web page of another origin may not change anything here. Send the request from a program, or from "
                "this API's own /docs; where people reach it by another address, set API_PUBLIC_URL to that."
            )

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


def register(app: Flask, authentication: Authentication) -> None:
    """Identify the sender of every request."""

    @app.before_request
    def identify() -> None:
        found = authentication.identify(request)
        remember_caller(found.caller, found.refusal)


def bearer_token(asked: Request) -> str | None:
    """Return the token that was sent, if one was."""
    sent = asked.authorization
    return sent.token if sent is not None and sent.type == "bearer" else None


def _texts(secrets: Iterable[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def serves_machine(settings: Settings) -> bool:
    """Return whether a program on this machine needs no token: nobody else is served, and nobody is told apart."""
    return not (settings.api_tokens or settings.serves_public_address or _has_sign_on(settings))


def _has_sign_on(settings: Settings) -> bool:
    return bool(settings.auth_header or settings.oidc_issuer)


def is_administered_by_tokens_only(settings: Settings) -> bool:
    """Return whether only a token of the record can be an administrator's."""
    signs_on = _has_sign_on(settings) and any(role is Role.ADMIN for _, role in settings.auth_roles)
    return not (settings.api_tokens or serves_machine(settings) or signs_on)


def require_tokens_on_public_address(settings: Settings, store: Tokens) -> None:
    """Refuse to start if nobody could be served; log a warning if everybody on this machine can send jobs."""
    if serves_machine(settings):
        logger.warning("no API_TOKENS: serving this machine only", extra={"api_host": settings.api_host})
    elif not (settings.api_tokens or _has_sign_on(settings) or store.has_admin_token()):
        raise ConfigurationError(
            f"API_HOST is {settings.api_host}, which other machines can reach, API_TOKENS is empty, and there is no "
            "token of an administrator, nor a single sign-on. Set API_TOKENS to one or more secret words; or set "
            "API_HOST to 127.0.0.1, create a token (retrain tokens create NAME --role admin), and start again."
        )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _place(presented: bytes, known: Sequence[bytes]) -> int | None:
    """Return the place of the hash among those that are known; all are compared, so that time tells nothing."""
    found = [hmac.compare_digest(presented, each) for each in known]
    return found.index(True) if True in found else None


def _is_loopback_peer(address: str | None) -> bool:
    peer = find_address(address or "")
    return peer is not None and peer.is_loopback
