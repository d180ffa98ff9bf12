"""Clients that mean no good to the API, on this machine only."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
