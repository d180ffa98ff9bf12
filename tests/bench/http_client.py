"""A client that costs little beside what it measures: requests made once, connections that stay open."""

import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle

CHUNK_BYTES = 1 << 20
ANSWER_SECONDS = 60


def request(path: str, body: bytes = b"") -> bytes:
    """Return a GET, or a POST of a JSON body."""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


class Connection:
    """One open connection, on which one request is under way at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def send(self, message: bytes) -> None:
        """Send a request."""
        self._got = b""
        self.socket.sendall(message)

    def receive(self) -> bool:
        """Read what has come; whether the answer is whole."""
        if not (chunk := self.socket.recv(CHUNK_BYTES)):
            raise ConnectionError(f"the server closed the connection after {self._got[:200]!r}")
        self._got += chunk
        return is_whole(self._got)

    def ask(self, message: bytes) -> float:
        """Send a request, wait for its answer, and return the seconds that it took."""
        began = time.perf_counter()
        self.send(message)
        while not self.receive():
            pass
        return time.perf_counter() - began

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def is_whole(answer: bytes) -> bool:
    """Whether this is a whole answer; raise if it tells of an error, which would be measured as a fast answer."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 2"):
        raise ConnectionError(f"the server refused: {answer[:500]!r}")
    _, _, rest = head.lower().partition(b"content-length:")
    return len(body) >= int(rest.split(b"\r\n")[0])


@contextmanager
def connected(port: int) -> Iterator[Connection]:
    """Yield an open connection."""
    connection = Connection(port)
    try:
        yield connection
    finally:
        connection.close()


def answers_per_second(port: int, messages: Iterable[bytes], *, clients: int, seconds: float) -> float:
    """Let so many clients ask at the same time, each again as soon as it has its answer.

    What is under way at the end is waited for, and not counted: it would disturb what is measured next.
    """
    following, answered = cycle(messages), 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(clients):
            connection = stack.enter_context(connected(port))
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(following))
        began = time.perf_counter()
        while (passed := time.perf_counter() - began) < seconds or answered < clients:
            for connection in _answered(selector):
                answered += 1
                connection.send(next(following))
        waiting = clients
        while waiting:
            waiting -= len(_answered(selector))
    return answered / passed


def _answered(selector: selectors.BaseSelector) -> list[Connection]:
    ready = [key.data for key, _ in selector.select(ANSWER_SECONDS)]
    return [connection for connection in ready if connection.receive()]
