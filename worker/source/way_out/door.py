"""The door through which git reaches the network: a proxy on loopback, open for one checkout, to allowed hosts only.

Checking an address before git starts would be too early: git looks the name up again and follows redirects, and
git-lfs goes wherever its host says. Here, the address that is connected to is the one that was checked.
"""

import base64
import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from shared.addresses.git_uri import AddressRefusal, AllowedAddresses
from shared.own_addresses import listener, own_loopback, reachable_at
from worker.source.way_out.proxy_request import ProxyRequest

HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 15
HEAD_SECONDS = 30
END = b"\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established" + END


class _NotServed(Exception):
    """The client gets this status instead of a connection."""


def look_up(name: str, port: int) -> list[str]:
    """Return the addresses that the name resolves to here; raise OSError if there are none."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from None
    return [str(each[4][0]).partition("%")[0] for each in found]


class Door:
    """``what`` is how the message of a refusal begins; ``max_bytes``, if any, is the most that may come in."""

    def __init__(
        self,
        allowed: AllowedAddresses,
        *,
        what: str,
        max_bytes: int,
        look_up: Callable[[str, int], list[str]] = look_up,
    ) -> None:
        self.allowed = allowed
        self._look_up = look_up
        self._what = what
        self._left_bytes = max_bytes
        self.refusal: AddressRefusal | None = None
        self.trouble = ""  # why the last host could not be reached; git only sees that the proxy refused
        self._token = secrets.token_urlsafe(16)
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def __enter__(self) -> Self:
        here = own_loopback()
        self._listener = listener(here, 0)
        self.url = f"http://git:{self._token}@{reachable_at(here)}:{self._listener.getsockname()[1]}"
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the door and all connections through it."""
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """End all connections through it and accept no more; another thread may call this too."""
        with self._lock:
            self._is_closed = True
            for each in (self._listener, *self._connections):
                _hang_up(each)  # which wakes the thread that reads from it

    @property
    def is_exhausted(self) -> bool:
        """Return whether more came in than is allowed."""
        return self._left_bytes < 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # the door is closed
                return
            self._start(partial(self._serve, client))

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name="door", daemon=True)
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive() or each.ident is None] + [thread]
        thread.start()
        return thread

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):  # git itself reports what became of its connection
            self._keep(client)
            try:
                self._connect_and_relay(client)
            except _NotServed as refused:
                client.sendall(f"HTTP/1.1 {refused}\r\nContent-Length: 0\r\nConnection: close".encode() + END)
            finally:
                self._forget(client)

    def _connect_and_relay(self, client: socket.socket) -> None:
        request, rest = self._read_request(client)
        with self._connect(request.host, request.port) as host:
            self._keep(host)
            try:
                if request.is_tunnel:
                    client.sendall(ESTABLISHED)
                host.sendall(request.head + rest)
                upload = self._start(lambda: _pump(client, host, count=lambda _: True))
                _pump(host, client, count=self._count)
                _hang_up(client)
                upload.join()
            finally:
                self._forget(host)

    def _read_request(self, client: socket.socket) -> tuple[ProxyRequest, bytes]:
        client.settimeout(HEAD_SECONDS)
        seen = b""
        while END not in seen:
            chunk = client.recv(HEAD_BYTES)
            if not chunk or len(seen) > HEAD_BYTES:
                raise _NotServed("400 Bad Request")
            seen += chunk
        client.settimeout(None)
        head, _, rest = seen.partition(END)
        try:
            request = ProxyRequest.parse(head)
        except ValueError:
            raise _NotServed("400 Bad Request") from None
        if request.authorization != f"Basic {base64.b64encode(f'git:{self._token}'.encode()).decode()}":
            raise _NotServed('407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="door"')
        return request, rest

    def _connect(self, name: str, port: int) -> socket.socket:
        """Connect to one of the host's addresses, each of which was checked."""
        refusal = self.allowed.refusal_of_host(name, what=self._what)
        try:
            for address in [] if refusal else self._look_up(name, port):
                if why := self.allowed.refusal_of_address(ip_address(address), host=name, what=self._what):
                    refusal = why
                elif host := self._dial(address, port):
                    return host
        except OSError as error:
            self.trouble = f"Could not resolve host {name}: {error.strerror}"
        if refusal:
            self.refusal = refusal
            raise _NotServed("403 Forbidden")
        raise _NotServed("502 Bad Gateway")

    def _dial(self, address: str, port: int) -> socket.socket | None:
        try:
            host = socket.create_connection((address, port), timeout=CONNECT_SECONDS)
        except OSError as error:
            self.trouble = f"Could not connect to {address} port {port}: {error.strerror or error}"
            return None
        host.settimeout(None)
        return host

    def _count(self, received: int) -> bool:
        with self._lock:
            self._left_bytes -= received
            return self._left_bytes >= 0

    def _keep(self, connection: socket.socket) -> None:
        """Note a connection, so that closing the door ends it; end it at once if the door is already closed."""
        with self._lock:
            self._connections.add(connection)
            if self._is_closed:
                _hang_up(connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)


def _pump(source: socket.socket, target: socket.socket, *, count: Callable[[int], bool]) -> None:
    """Pass data on until it ends or there is too much of it."""
    with suppress(OSError):
        while (chunk := source.recv(CHUNK_BYTES)) and count(len(chunk)):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
