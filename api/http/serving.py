"""Serves the app with Waitress: one thread reads and writes all connections, others answer complete requests.

A client that sends half a request, reads no answer or never hangs up costs a connection but no thread; and each peer's
connections are limited.
"""

import json
import logging
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from selectors import EVENT_READ, DefaultSelector
from types import FrameType
from typing import Any

from waitress import wasyncore  # type: ignore[import-untyped]
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.channel import HTTPChannel  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ErrorTask, WSGITask  # type: ignore[import-untyped]

from api.http.json_request import MAX_BODY_BYTES
from api.http.problems import MEDIA_TYPE
from api.http.request_ids import HEADER
from api.http.threads import ThreadsAsNeeded
from shared.errors import ConfigurationError
from shared.settings import Settings

logger = logging.getLogger(__name__)

READ_SECONDS = 12.0  # from a request's first byte, or from accepting its connection, to its last byte
IDLE_SECONDS = 75.0  # between an answer and the next request; longer than proxies keep connections open
WRITE_SECONDS = 60.0  # without the client reading any byte of the answer
LINGER_SECONDS = 1.0  # for clients that still send after a refusal: closing at once would lose the answer
STOP_SECONDS = 10.0
LOOK_SECONDS = 1.0
MAX_HEAD_BYTES = 16 * 1024
BACKLOG = 1024
NEVER = 10**9  # waitress's own limits know neither peers nor a deadline for a whole request
KEPT_BYTES = 256 * 1024  # of an answer that the client reads slowly; beyond that, the thread waits
WARNING = "too many open connections; closing the one that was silent for longest"
CODES = {
    HTTPStatus.BAD_REQUEST: "BAD_REQUEST",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "BODY_TOO_LARGE",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "HEAD_TOO_LARGE",
    HTTPStatus.NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
}


class ProblemTask(ErrorTask):  # type: ignore[misc]
    """Answers an invalid request, which never reaches the app, in the form of the app's problem documents."""

    def execute(self) -> None:
        """Write the answer; the connection is closed after it."""
        error = self.request.error
        request_id = uuid.uuid4().hex
        problem = {
            "type": "about:blank",
            "title": error.reason,
            "status": error.code,
            "code": CODES.get(error.code, "INTERNAL"),
            "detail": _detail(error),
            "request_id": request_id,
        }
        body = json.dumps(problem).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend([("Content-Type", MEDIA_TYPE), (HEADER, request_id)])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


def _detail(error: Any) -> str:
    match error.code:
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return f"The body is larger than {MAX_BODY_BYTES} bytes."
        case HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            return f"The request's line and headers are larger than {MAX_HEAD_BYTES} bytes."
    return str(error.body)


class AnswerTask(WSGITask):  # type: ignore[misc]
    """Answers a request; the head is sent with the first part of the body, not before it."""

    def write(self, data: bytes) -> None:
        """Take a part of the answer's body."""
        if self.wrote_header or not data:
            super().write(data)
            return
        with self.channel.in_one_piece():
            super().write(data)


def has_hung_up(connection: socket.socket) -> bool:
    """Return whether the client has closed its connection, or will send no more."""
    with DefaultSelector() as selector:
        try:
            selector.register(connection, EVENT_READ)
            return bool(selector.select(timeout=0)) and not connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True


class Connection(HTTPChannel):  # type: ignore[misc]
    """One connection. It waits for a request, or for the client to take an answer, up to a deadline."""

    task_class = AnswerTask
    error_task_class = ProblemTask

    def __init__(self, *args: Any, **given: Any) -> None:
        self.waits_since = time.monotonic()
        self._was_answered = False
        self._was_refused = False
        self._lingers_until: float | None = None
        self._pieces: list[bytes] | None = None
        super().__init__(*args, **given)

    @property
    def peer(self) -> str:
        """The address of the other end."""
        return str(self.addr[0])

    @property
    def is_silent(self) -> bool:
        """Whether every request has been answered."""
        return not self.requests and not self.total_outbufs_len

    @property
    def is_idle(self) -> bool:
        """Whether not even part of a request has come."""
        return self.is_silent and self.request is None

    def received(self, data: bytes) -> Any:
        """Take bytes of a request; its deadline counts from the first one."""
        if self.is_idle:
            self.waits_since = time.monotonic()
        taken = super().received(data)
        self._was_refused = any(request.error for request in self.requests)
        return taken

    def service(self) -> None:
        """Answer a request, in a thread."""
        super().service()
        self._was_answered = True
        self.waits_since = time.monotonic()

    @contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """Send at the end what is written meanwhile: each send costs a call, and wakes the client."""
        self._pieces = []
        try:
            yield
        finally:
            pieces, self._pieces = self._pieces, None
        super().write_soon(b"".join(pieces))

    def write_soon(self, data: Any) -> int:
        """Send it."""
        if self._pieces is None:
            return int(super().write_soon(data))
        self._pieces.append(data)
        return len(data)

    def check_client_disconnected(self) -> bool:
        """Return whether the client has gone. While a request is answered, nothing else reads from the connection."""
        return not self.connected or has_hung_up(self.socket)

    def close_if_late(self) -> None:
        """Close it if the client missed a deadline."""
        now = time.monotonic()
        if self._lingers_until is not None:
            is_late = now > self._lingers_until
        elif self.is_silent:
            is_late = now > self.waits_since + (IDLE_SECONDS if self._was_answered and self.is_idle else READ_SECONDS)
        else:
            is_late = bool(self.total_outbufs_len) and time.time() > self.last_activity + WRITE_SECONDS
        if is_late:
            super().handle_close()

    def handle_close(self) -> None:
        """Close it; after a refusal, only once the client has stopped sending, or a moment has passed."""
        if not self._was_refused or self._lingers_until is not None or not self.connected:
            super().handle_close()
            return
        self._lingers_until = time.monotonic() + LINGER_SECONDS
        self.will_close = False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            super().handle_close()

    def handle_read(self) -> None:
        """Read what came; after a refusal, discard it."""
        if self._lingers_until is None:
            super().handle_read()
            return
        try:
            self.recv(self.adj.recv_bytes)
        except OSError:
            super().handle_close()


@dataclass(frozen=True)
class Bounds:
    """How many connections may be open, in total and from one peer."""

    connections: int
    per_peer: int


class Server(TcpWSGIServer):  # type: ignore[misc]
    """Serves the app until it is told to stop; requests under way are then still answered, for a while."""

    channel_class = Connection

    def __init__(self, app: Any, listener: socket.socket, *, threads: int, bounds: Bounds) -> None:
        given = Adjustments(
            sockets=[listener],
            threads=threads,
            ident="",
            clear_untrusted_proxy_headers=False,  # the app refuses, or ignores, what proxies say
            max_request_header_size=MAX_HEAD_BYTES,
            max_request_body_size=MAX_BODY_BYTES + 1,
            inbuf_overflow=MAX_BODY_BYTES + 1,
            recv_bytes=64 * 1024,
            outbuf_high_watermark=KEPT_BYTES,
            outbuf_overflow=NEVER,
            connection_limit=NEVER,
            channel_timeout=NEVER,
            cleanup_interval=NEVER,
            asyncore_use_poll=True,
        )
        family, kind, protocol = listener.family, listener.type, listener.proto
        sockinfo = (family, kind, protocol, listener.getsockname())
        dispatcher = ThreadsAsNeeded(threads)
        super().__init__(app, _sock=listener, adj=given, sockinfo=sockinfo, bind_socket=False, dispatcher=dispatcher)
        self._bounds = bounds
        self._stops_at: float | None = None
        self._looks_at = 0.0

    def handle_accept(self) -> None:
        """Accept a connection, and close one if there are too many."""
        super().handle_accept()
        self._keep_bounds()

    def _keep_bounds(self) -> None:
        """Close the longest silent connection, so that a client that sends at once is answered in any crowd."""
        if not (connections := list(self.active_channels.values())):
            return
        of_peer = [each for each in connections if each.peer == connections[-1].peer]  # of the newest connection's peer
        if len(of_peer) > self._bounds.per_peer:
            _close_longest_silent(of_peer)
        elif len(connections) > self._bounds.connections:
            _close_longest_silent(connections)

    def serve(self, *, on_stop: Callable[[], None]) -> None:
        """Answer requests until SIGTERM, SIGINT or SIGQUIT."""

        def stop(
            _number: int, _frame: FrameType | None
        ) -> None:  # it takes no lock, because it may interrupt the holder
            on_stop()
            self._stops_at = self._stops_at or time.monotonic() + STOP_SECONDS
            self.pull_trigger()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, stop)
        logger.info("serving", extra={"address": self.effective_host, "port": self.effective_port})
        while self._stops_at is None:
            self._look()
        self._end(self._stops_at)

    def _look(self) -> None:
        wasyncore.loop(timeout=LOOK_SECONDS, use_poll=True, map=self._map, count=1)
        if (now := time.monotonic()) >= self._looks_at:  # not each time that something comes from one of them
            self._looks_at = now + LOOK_SECONDS
            for each in list(self.active_channels.values()):
                each.close_if_late()

    def _end(self, deadline: float) -> None:
        """Accept no more connections, and close the idle ones; the others are answered first."""
        wasyncore.dispatcher.close(self)
        while self.active_channels and time.monotonic() < deadline:
            for each in list(self.active_channels.values()):
                if each.is_idle:
                    each.handle_close()
            self._look()
        self.task_dispatcher.shutdown(timeout=1)


def _close_longest_silent(connections: Iterable[Connection]) -> None:
    logger.warning(WARNING)
    silent = [each for each in connections if each.is_silent]
    min(silent, key=lambda each: each.waits_since).handle_close()  # the newest has sent nothing yet


def listen(settings: Settings) -> socket.socket:
    """Return the socket on which the API listens; raise ConfigurationError if it cannot."""
    family = socket.AF_INET6 if ":" in settings.api_host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.api_host, settings.api_port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=settings.api_host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise ConfigurationError(
            f"API_HOST {settings.api_host} and API_PORT {settings.api_port} cannot be listened on: {error.strerror}. "
            "Stop what listens there, or set another port."
        ) from error
