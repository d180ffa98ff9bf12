"""A way to the Docker engine that a test can cut, as an engine's restart does."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.engines import require

REQUEST = re.compile(r"([A-Z]+) /v[0-9.]+(/[^ ?]*)")


class CuttableEngine:
    """A loopback port that leads to the engine's socket until it is cut; ``url`` is its DOCKER_HOST."""

    def __init__(self, engine: Path) -> None:
        self._engine = engine
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.is_up = True
        self.asked: list[str] = []  # the method and the path of each request that got through
        self._start(self._accept)

    def cut(self) -> None:
        """Break every open connection; new ones get through while ``is_up``."""
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut_for_good(self) -> None:
        """Break every open connection and let no new one through."""
        self.is_up = False
        self.cut()

    def close(self) -> None:
        """End it all, threads too."""
        self.is_up = False
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self.is_up:
                    client.close()
                    continue
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(str(self._engine))
                self._open |= {client, engine}
                self._start(self._pump, client, engine)
                self._start(self._pump, engine, client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.asked += (f"{found[1]} {found[2]}" for found in [REQUEST.match(data.decode("latin-1"))] if found)
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _start(self, target: object, *sockets: socket.socket) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=sockets, daemon=True)
        self._threads.append(thread)
        thread.start()


@contextmanager
def cuttable_engine() -> Iterator[CuttableEngine]:
    """A way to this machine's engine, which must listen at a socket."""
    path = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    require(path.is_socket(), "Docker's socket")
    way = CuttableEngine(path)
    try:
        yield way
    finally:
        way.close()
