"""Gunicorn's threads, kept from clients that send half a request, read no answer, or never hang up."""

import socket
import time
from functools import partial
from selectors import EVENT_READ, DefaultSelector
from typing import Any

from gunicorn import http, util  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

READ_SECONDS = 12.0  # from accepting a connection to the last byte of its request
LATE_READ_SECONDS = 1.0  # for a request that waited for a free thread, and came in meanwhile
WRITE_SECONDS = 60.0
LINGER_SECONDS = 1.0


class TimedReader:
    """Reads a request up to a deadline for all of it; after that the client counts as gone."""

    def __init__(self, connection: socket.socket, *, read_until: float) -> None:
        self._connection = connection
        self._read_until = read_until
        self.is_late = False

    def recv(self, size: int) -> bytes:
        """Return what came, or nothing at the deadline, which gunicorn takes for the end of the connection."""
        try:
            self._connection.settimeout(max(self._read_until - time.monotonic(), 0))
            return self._connection.recv(size)
        except (TimeoutError, BlockingIOError):
            self.is_late = True
            return b""
        finally:
            self._connection.settimeout(WRITE_SECONDS)


def has_hung_up(connection: socket.socket | None) -> bool:
    """Whether the client has closed its connection; None is one that nobody can look at, as in a test."""
    if connection is None:
        return False
    with DefaultSelector() as selector:
        selector.register(connection, EVENT_READ)
        try:
            return bool(selector.select(timeout=0)) and not connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True


class SlowClientWorker(ThreadWorker):  # type: ignore[misc]
    """Gunicorn's gthread worker for connections of one request each (it has no read timeout of its own)."""

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to a thread when it has sent something; until then it costs none."""
        if conn.data_ready:
            super().enqueue_req(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + READ_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def murder_pending(self) -> None:
        """Close what has sent nothing in time, and at a stop whatever has sent nothing."""
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = 0.0
        super().murder_pending()

    def handle(self, conn: Any) -> bool:
        """Answer one request and close its connection, here: gunicorn would linger in the thread that accepts."""
        read_until = max(conn.timeout, time.monotonic() + LATE_READ_SECONDS)
        reader = TimedReader(conn.sock, read_until=read_until)
        conn.parser = http.get_parser(self.cfg, reader, conn.client)
        try:
            super().handle(conn)
        finally:
            if reader.is_late:
                util.close(conn.sock)
            else:
                util.close_graceful(conn.sock, timeout=LINGER_SECONDS)
        return False

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Count the connection out; it is closed already."""
        self.nr_conns -= 1
