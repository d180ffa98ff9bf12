"""The second server of MLflow's process, for trainings."""

import asyncio
import socket

from deploy.mlflow_guard.beside import Beside
from deploy.mlflow_guard.layer import Message, Receive, Scope, Send
from tests.support.network.ports import free_port

REQUEST = b"GET / HTTP/1.1\r\nHost: guard\r\n\r\n"


async def _app(_scope: Scope, _receive: Receive, send: Send) -> None:
    start: Message = {"type": "http.response.start", "status": 204, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": b""})


def test_what_is_sent_is_not_held_back_until_what_was_sent_before_is_acknowledged() -> None:
    async def is_sent_at_once() -> bool:
        beside, port = Beside(_app, lifespan="off"), free_port()
        await beside.open("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await reader.readline()
        [connection] = beside.server_state.connections
        served: socket.socket = connection.transport.get_extra_info("socket")
        at_once = bool(served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()
        await beside.close()
        return at_once

    assert asyncio.run(is_sent_at_once())
