"""The API's app on a port of this machine, so that a client speaks real HTTP to it; it can go away and come back."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from tests.support.network.ports import free_port

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]
STOP_SECONDS = 10
PAUSES = {
    "mypackage.client.http.FIRST_PAUSE_SECONDS": 0.01,
    "mypackage.client.http.LAST_PAUSE_SECONDS": 0.05,
    "mypackage.client.http.CALL_PATIENCE_SECONDS": 0.3,
    "mypackage.client.log.PAUSE_SECONDS": 0.02,
    "api.live.long_poll.POLL_SECONDS": 0.01,
}


class Silent(WSGIRequestHandler):
    """Prints no line for a request: ``ServedApp.requests`` has them all."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing."""


class ServedApp:
    """A server of one app; ``requests`` are those that it got, as (method, path with query)."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.port = free_port()
        self.requests: list[tuple[str, str]] = []
        self.environs: list[dict[str, Any]] = []
        self.answers_to_lose = 0
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "ServedApp":
        """Serve, on the same port as before."""
        self._server = make_server("127.0.0.1", self.port, self._wsgi, threaded=True, request_handler=Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Take no more connections."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(STOP_SECONDS)
        self._server.server_close()
        self._server = self._thread = None

    def _wsgi(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        query = environ["QUERY_STRING"]
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"] + (f"?{query}" if query else "")))
        self.environs.append(environ)
        answer = self.app.wsgi_app(environ, start_response)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)  # the request was carried out
        return answer


@contextmanager
def served(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ServedApp]]:
    """A function that serves an app with settings of the test's; pauses of client and API are short."""
    for name, seconds in PAUSES.items():
        monkeypatch.setattr(name, seconds)
    for name in ("RETRAIN_URL", "RETRAIN_TOKEN", "RETRAIN_GIT_URI", "RETRAIN_DATASET_REPO"):
        monkeypatch.delenv(name, raising=False)
    started: list[ServedApp] = []

    def start(**settings: object) -> ServedApp:
        started.append(ServedApp(make_app(**settings)).start())
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.app.extensions["retrain"].long_poll.stop()
            server.stop()
