"""Sends requests to a tracking server and says how they failed."""

import base64
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

T = TypeVar("T")

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
CONNECTIONS = 32
SHOWN_CHARACTERS = 200


class Refused(Exception):
    """MLflow refused a request; ``error_code`` is its own, such as RESOURCE_DOES_NOT_EXIST."""

    def __init__(self, error_code: str, message: str) -> None:
        super().__init__(f"{error_code}: {message}" if error_code else message)
        self.error_code = error_code


class Unanswered(Refused):
    """Nobody knows whether the request was carried out."""

    def __init__(self, message: str) -> None:
        super().__init__("", message)


@dataclass(frozen=True)
class Access:
    """How to reach a server. ``login`` is the Authorization header; ``retries`` come after the first try."""

    uri: str
    login: str = field(default="", repr=False)
    verify: bool | str = True
    certificate: str | None = None
    timeout_seconds: float = 30
    retries: int = 2
    backoff_seconds: float = 1

    @classmethod
    def of(cls, tracking_uri: str, environment: Mapping[str, str]) -> "Access":
        """Return what MLflow's client would take from these variables."""
        get = environment.get
        is_insecure = get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
        return cls(
            uri=tracking_uri.rstrip("/"),
            login=_login(environment),
            verify=get("MLFLOW_TRACKING_SERVER_CERT_PATH") or not is_insecure,
            certificate=get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
            timeout_seconds=float(get("MLFLOW_HTTP_REQUEST_TIMEOUT") or cls.timeout_seconds),
            retries=int(get("MLFLOW_HTTP_REQUEST_MAX_RETRIES") or cls.retries),
            backoff_seconds=float(get("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR") or cls.backoff_seconds),
        )


class Connection:
    """Connections to one server, kept open between requests. Any thread may use it."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS))

    def ask(self, method: str, path: str, read: Callable[[Any], T], *, once: bool = False, **sent: Any) -> T:
        """Return what is read from the JSON of the answer."""
        with self.send(method, path, once=once, **sent) as response:
            try:
                return read(response.json())
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Unanswered(f"it answers in an unknown form ({_shown(response)})") from error

    def send(self, method: str, path: str, *, once: bool = False, **sent: Any) -> requests.Response:
        """Return the answer to what succeeded; raise Refused or Unanswered. ``once``: try no second time."""
        retries = 0 if once else self.access.retries
        for number in range(retries):
            with suppress(Unanswered):
                return self._try(method, path, **sent)
            time.sleep(self.access.backoff_seconds * 2**number)
        return self._try(method, path, **sent)

    def _try(self, method: str, path: str, **sent: Any) -> requests.Response:
        try:
            response = self._session.request(
                method,
                path if "://" in path else self.access.uri + path,
                auth=self._authorize,
                timeout=self.access.timeout_seconds,
                verify=self.access.verify,
                cert=self.access.certificate,
                **sent,
            )
        except requests.RequestException as error:
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        if response.status_code != HTTPStatus.OK:
            with response:
                raise _error(response)
        return response

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the login: here, because a netrc file's would take the place of one among the headers."""
        if self.access.login:
            request.headers["Authorization"] = self.access.login
        return request


def _login(environment: Mapping[str, str]) -> str:
    user, password = (environment.get(f"MLFLOW_TRACKING_{each}", "") for each in ("USERNAME", "PASSWORD"))
    if user and password:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    token = environment.get("MLFLOW_TRACKING_TOKEN", "")
    return f"Bearer {token}" if token else ""


def _error(response: requests.Response) -> Refused:
    try:
        said = response.json()
        code, message = str(said["error_code"]), str(said.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = "", f"it answers {response.status_code} ({_shown(response)})"
    if response.status_code in TRANSIENT:
        return Unanswered(f"{code}: {message}" if code else message)
    return Refused(code, message)


def _shown(response: requests.Response) -> str:
    return repr(response.text[:SHOWN_CHARACTERS])
