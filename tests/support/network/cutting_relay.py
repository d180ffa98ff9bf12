"""A loopback port that leads to another one, and cuts its connections after so many bytes of answers."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType


class CuttingRelay:
    """``cut_after`` says for each connection how many bytes of answers it lets through, None for all."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.cut_after: Callable[[], int | None] = lambda: None
        self.passed_bytes = 0

    def __enter__(self) -> "CuttingRelay":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            _end(each)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._sockets += [client, server]
                self._start(self._pass_on, client, server)
                self._start(self._answer, server, client, self.cut_after())

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        _end(server)

    def _answer(self, server: socket.socket, client: socket.socket, limit: int | None) -> None:
        left = 2**62 if limit is None else limit
        with suppress(OSError):
            while left and (data := server.recv(min(65536, left))):
                client.sendall(data)
                left -= len(data)
                with self._lock:
                    self.passed_bytes += len(data)
        _end(server)
        _end(client)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
