"""Clients that mean no good to the API, on this machine only."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

TEXT_CHARACTERS = 960_000


@contextmanager
def silent_connections(port: int, count: int) -> Iterator[None]:
    """Open connections that say nothing."""
    with ExitStack() as opened:
        for _ in range(count):
            opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
        yield


def costly_body(characters: int = TEXT_CHARACTERS) -> bytes:
    """A request whose text begins an address, or a user and a password, at each of its characters."""
    text = "//a:b" * (characters // 5)
    return json.dumps({"experiment_name": text, "git_uri": "https://h/p.git"}).encode()


@contextmanager
def slow_connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Open connections in the middle of a request; ``drip`` sends one more byte of each."""
    with ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(count)
        ]
        for each in sockets:
            each.sendall(b"GET /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        yield sockets


def drip(sockets: list[socket.socket]) -> int:
    """Send a byte on each that is still open; return how many are."""
    is_open = 0
    for each in sockets:
        with suppress(OSError):
            each.sendall(b"a")
            is_open += 1
    return is_open
