"""A small proxy that does what a Caddyfile of the documentation says: handle_path, reverse_proxy and header_up.

As Caddy does, it says itself from whom a request came (X-Forwarded-*), and believes no client about it.
"""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "upgrade"})
READ_BYTES = 65536
READ_SECONDS = 30
STOP_SECONDS = 10


class Caddyfile:
    """What is understood of the file."""

    def __init__(self, text: str) -> None:
        self.path = _only(r"handle_path (\S+)/\*", text)
        self.upstream = _only(r"reverse_proxy (\S+)", text)
        self.headers = dict(re.findall(r"header_up (\S+) (\S+)", text))
        self.redirect = re.search(r"redir (\S+) (\S+) (\d+)", text)


class Proxy(BaseHTTPRequestHandler):
    """Answers one connection's requests, each with a connection of its own to the upstream."""

    protocol_version = "HTTP/1.1"
    file: Caddyfile

    def answer(self) -> None:
        """Pass the request on, below the path, and the answer back as it comes."""
        path, _, _ = self.path.partition("?")
        redirect = self.file.redirect
        if redirect and path == redirect[1]:
            self._begin(int(redirect[3]), {"Location": redirect[2], "Content-Length": "0"})
        elif not path.startswith(f"{self.file.path}/"):
            self._begin(404, {"Content-Length": "0"})
        else:
            self._pass_on(self.path.removeprefix(self.file.path))

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the library calls

    def _pass_on(self, path: str) -> None:
        kept = {name: value for name, value in self.headers.items() if not _is_between_two(name)}
        host, peer = self.headers.get("Host", ""), str(self.client_address[0])
        told = {"X-Forwarded-For": peer, "X-Forwarded-Proto": "http", "X-Forwarded-Host": host, **self.file.headers}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection(self.file.upstream, timeout=READ_SECONDS)
        try:
            upstream.request(self.command, path, body or None, {**kept, **told})
            answer = upstream.getresponse()
            headers = {name: value for name, value in answer.getheaders() if not _is_between_two(name)}
            is_chunked = answer.length is None
            self._begin(answer.status, {**headers, **({"Transfer-Encoding": "chunked"} if is_chunked else {})})
            while part := answer.read1(READ_BYTES):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if is_chunked else part)
            self.wfile.write(b"0\r\n\r\n" if is_chunked else b"")
        except OSError:
            self.close_connection = True  # one of the two has hung up
        finally:
            upstream.close()

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _is_between_two(header: str) -> bool:
    """Return whether a header is for one connection only, or one that Caddy writes itself."""
    return header.lower() in HOP_BY_HOP or header.lower().startswith("x-forwarded-")


def _only(pattern: str, text: str) -> str:
    [found] = re.findall(pattern, text)
    return str(found)


@contextmanager
def running_caddy_like(caddyfile: str) -> Iterator[str]:
    """Give the address of the proxy."""

    class Configured(Proxy):
        file = Caddyfile(caddyfile)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Configured)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(STOP_SECONDS)
        server.server_close()
