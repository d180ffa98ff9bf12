"""Sends HTTP requests to the service: adds the token, sets timeouts, repeats what is safe to repeat, raises errors."""

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import requests

from .errors import ClientError, NotAuthenticated, Refused, ServerUnreachable, UnexpectedAnswer

CONNECT_SECONDS = 10
READ_SECONDS = 60
# How long a call is repeated: a query fails soon if nothing is there, a wait outlives a restart.
CALL_PATIENCE_SECONDS = 3.0
WAIT_PATIENCE_SECONDS = 300.0
TOLD_PATIENCE_SECONDS = 60.0  # where the service says when to come back
FIRST_PAUSE_SECONDS = 0.25
LAST_PAUSE_SECONDS = 5.0
AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class BearerToken(requests.auth.AuthBase):
    """Sends the token. It is set even without one, to keep requests from sending a login from a .netrc file."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class Call:
    """One request. Each is safe to repeat: a read, one with an Idempotency-Key, or one that is idempotent."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: str | None = field(default=None, repr=False)  # it may contain a git host's token
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_seconds: float = 0  # how long we asked the service to wait
    patience_seconds: float | None = None


class Http:
    """Calls the service at one address."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = checked_url(url)
        self._proxies = past_proxies(self.url)
        self._session = requests.Session()
        self._session.auth = BearerToken(checked_token(token))

    def __repr__(self) -> str:
        return f"Http({self.url!r})"

    def send(self, call: Call) -> requests.Response:
        """Return a successful answer; raise ServerUnreachable, Refused or UnexpectedAnswer."""
        patience = CALL_PATIENCE_SECONDS if call.patience_seconds is None else call.patience_seconds
        began, pause = time.monotonic(), FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._answer(call)
            except (ServerUnreachable, Refused, UnexpectedAnswer) as error:
                told = _told_seconds(error)
                wait, most = (pause, patience) if told is None else (told, max(patience, TOLD_PATIENCE_SECONDS))
                if not _may_pass(error) or time.monotonic() + wait > began + most:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, LAST_PAUSE_SECONDS)

    def read_object(self, call: Call) -> tuple[dict[str, Any], requests.Response]:
        """Return the answer's JSON object, and the answer."""
        response = self.send(call)
        return self.object_of(response), response

    def object_of(self, response: requests.Response) -> dict[str, Any]:
        """Return the answer's JSON object; raise UnexpectedAnswer if it is not one."""
        try:
            value = response.json()
        except requests.exceptions.JSONDecodeError:
            raise self._unexpected(response) from None
        if not isinstance(value, dict):
            raise self._unexpected(response)
        return value

    def _answer(self, call: Call) -> requests.Response:
        try:
            response = self._session.request(
                call.method,
                f"{self.url}{call.path}",
                params=dict(call.query),
                data=call.body,
                headers={**call.headers, **({"Content-Type": "application/json"} if call.body is not None else {})},
                timeout=(CONNECT_SECONDS, READ_SECONDS + call.wait_seconds),
                proxies=self._proxies,
                allow_redirects=False,  # the service sends none; following one would turn a POST into a GET
            )
        except requests.RequestException as error:
            raise ServerUnreachable(self._unreachable(error)) from None  # four screens in a notebook, for this one line
        if response.ok and not response.is_redirect:
            return response
        raise self._error(response)

    def _unreachable(self, error: requests.RequestException) -> str:
        match error:
            case requests.exceptions.SSLError():
                what = "has a certificate that is not trusted here"
            case requests.exceptions.ReadTimeout():
                what = "did not answer in time"
            case requests.exceptions.ProxyError():
                what = "cannot be reached through the proxy that HTTP_PROXY or HTTPS_PROXY names"
            case _ if "NameResolutionError" in repr(error):
                what = f"cannot be found: no name server knows the name {urlsplit(self.url).hostname}"
            case _:
                what = "does not answer"
        return (
            f"The retraining service at {self.url} {what}. Check that it runs there (`make up` starts one), or set "
            "RETRAIN_URL to where it does."
        )

    def _error(self, response: requests.Response) -> ClientError:
        if response.headers.get("Content-Type", "").startswith("application/problem+json"):
            kind = NotAuthenticated if response.status_code == HTTPStatus.UNAUTHORIZED else Refused
            after = response.headers.get("Retry-After", "")
            return kind(response.status_code, self.object_of(response), int(after) if after.isdecimal() else None)
        return self._unexpected(response)

    def _unexpected(self, response: requests.Response) -> UnexpectedAnswer:
        return UnexpectedAnswer(
            f"{self.url} answered with status {response.status_code}, and not as the retraining service does. Check "
            "RETRAIN_URL, and what stands between.",
            status=response.status_code,
        )


def checked_url(url: str) -> str:
    """Return the address without a slash at its end; raise ValueError, which does not repeat it, if it is not one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("RETRAIN_URL is not the address of a server; it looks like http://127.0.0.1:5005")
    if "@" in parts.netloc:
        raise ValueError(
            "RETRAIN_URL contains a user or a password, which would be shown; put a token in RETRAIN_TOKEN"
        )
    return url.rstrip("/")


def past_proxies(url: str) -> dict[str, str]:
    """Return what keeps requests from asking a proxy of the environment for this machine itself."""
    host = urlsplit(url).hostname or ""
    name = host.rstrip(".")
    is_here = name in ("localhost", socket.gethostname().lower()) or name.endswith(".localhost") or _is_loopback(name)
    return {"no_proxy": host} if is_here else {}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(token: str | None) -> str | None:
    """Return the token, stripped; requests would repeat an invalid one in its error."""
    token = (token or "").strip()
    if not all("!" <= character <= "~" for character in token):
        raise ValueError("RETRAIN_TOKEN contains a character that no token has, such as a space or a line break")
    return token or None


def _told_seconds(error: ClientError) -> float | None:
    """Return after how many seconds a caller who asked too often may come back, if the service says so."""
    if isinstance(error, Refused) and error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return error.after_seconds
    return None


def _may_pass(error: ClientError) -> bool:
    match error:
        case ServerUnreachable():
            return True
        case Refused(status=HTTPStatus.TOO_MANY_REQUESTS):
            return _told_seconds(error) is not None
        case Refused(status=status) | UnexpectedAnswer(status=status):
            return status in AWAY
    return False
