"""A second server in the process and event loop of the first: trainings' port beside people's."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deploy.mlflow_guard.layer import App

STOP_SECONDS = 2  # for transfers under way, as at people's port; MLflow's clients retry
# Of all trainings, so that none of them uses up what this process may open, and with it people's port.
MOST_CONNECTIONS = 400


class Beside(uvicorn.Server):
    """Serves an app at one address from ``open`` to ``close``."""

    def __init__(self, app: App, *, lifespan: Literal["on", "off"]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Bounded,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # which a training could forge
                server_header=False,
                lifespan=lifespan,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def open(self, address: str, port: int) -> None:
        """Serve from now on; raise OSError if something else listens there."""
        listening = socket.create_server((address, port))
        # An answer's head and body are two writes. asyncio sets this itself only where a socket names its protocol,
        # and without it the body of each answer on a kept connection waits 40 ms for the head's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._task = asyncio.create_task(self.serve(sockets=[listening]))
        while not (self.started or self._task.done()):
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Stop, once what is under way has ended or taken too long."""
        self.should_exit = True
        if self._task is not None:
            await self._task

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the first server."""
        yield


class _Bounded(H11Protocol):
    """A connection, which is closed at once where there are too many."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
