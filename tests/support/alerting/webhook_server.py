"""A stand-in for a webhook's other side on loopback: what it would not take it refuses, and it fails as a test says."""

import http.server
import threading
from collections.abc import Callable
from typing import Any

from tests.support.alerting.discord import Trouble

PATH = "/services/T0001/hunter2-0123456789"
Answer = tuple[int, str]


class WebhookServer:
    """Serves one address until closed. ``take`` says what comes of a body; 200 means that it was taken."""

    def __init__(self, variable: str, take: Callable[[bytes], Answer] = lambda _body: (200, "ok")) -> None:
        self.trouble, self.is_gone = Trouble.NONE, False
        self.gone: Answer = (404, "no_service")
        self.bodies: list[bytes] = []
        self._take = take
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"
        self.settings: dict[str, Any] = {variable: self.url}
        self._is_closed = False

    def texts(self) -> list[str]:
        """Return the bodies that it took."""
        return [body.decode() for body in self.bodies]

    def close(self) -> None:
        """Stop serving."""
        if not self._is_closed:
            self._is_closed = True
            self._server.shutdown()
            self._server.server_close()
            self._thread.join(10)

    def _answer(self, path: str, body: bytes) -> Answer:
        if self.is_gone or path != PATH:
            return self.gone
        if self.trouble is Trouble.TOO_MANY:
            return 429, "rate_limited"
        if self.trouble is Trouble.BROKEN:
            return 500, "internal"
        status, said = self._take(body)
        if status == 200:
            self.bodies.append(body)
        return status, said

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response(405)
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if server.trouble is Trouble.CUT:
                    self.close_connection = True
                    return
                status, said = server._answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                if status == 429:
                    self.send_header("Retry-After", "30")
                self.end_headers()
                self.wfile.write(said.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        return Handler
