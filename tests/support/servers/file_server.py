"""A real HTTP server of a few files that cuts connections, fails and changes its files as a test wants."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit


class _Server(ThreadingHTTPServer):
    def __init__(self, served: "FileServer") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.served = served


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        served = self.server.served
        served.requests.append(self.headers.get("Range", ""))
        content = served.files.get(urlsplit(self.path).path)
        status = served.statuses.pop(0) if served.statuses else 200 if content is not None else 404
        if status == 200 and content is not None:
            self._send(content)
        else:
            self._head(status, 0)

    def _send(self, content: bytes) -> None:
        first, served = self._first_byte(), self.server.served
        if first >= len(content):
            self._head(416, 0, f"bytes */{len(content)}")
            return
        part = content[first:]
        self._head(206 if first else 200, len(part), f"bytes {first}-{len(content) - 1}/{len(content)}")
        sent = part[: served.cut_after()]
        served.sent_bytes += len(sent)
        self.wfile.write(sent)

    def _first_byte(self) -> int:
        wanted, known = self.headers.get("Range", ""), self.headers.get("If-Range")
        if not self.server.served.takes_ranges or not wanted or (known and known != self.server.served.etag):
            return 0
        return int(wanted.removeprefix("bytes=").rstrip("-"))

    def _head(self, status: int, length: int, part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if self.server.served.etag and status in (200, 206):
            self.send_header("ETag", self.server.served.etag)
        if status in (206, 416):
            self.send_header("Content-Range", part)
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Stay quiet."""


@dataclass
class FileServer:
    """Serves ``files``. ``cut_after`` says for each answer after how many bytes the connection ends, None for never."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"1"'
    takes_ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # of the next answers, before any content
    cut_after: Callable[[], int | None] = lambda: None
    requests: list[str] = field(default_factory=list)  # the Range that each asked for
    sent_bytes: int = 0

    def __enter__(self) -> "FileServer":
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
