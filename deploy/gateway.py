"""Lets containers reach the MLflow server of `make up`, which listens on loopback only: one port, on Docker's bridge.

Docker Desktop forwards host.docker.internal to loopback by itself; on Linux it is the bridge's address.
"""

import asyncio
import sys
from urllib.parse import urlsplit

from shared import logs
from shared.settings import Settings

CHUNK_BYTES = 1 << 16


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # one side went away; the other one is told below
    finally:
        writer.close()


async def forward(host: str, port: int) -> None:
    """Forward connections to host:port to the same port on loopback, until cancelled."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, target[1]), _copy(target[0], writer))

    server = await asyncio.start_server(connect, host, port)
    async with server:
        await server.serve_forever()


def main() -> int:
    """Forward from the address given as the only argument."""
    settings = Settings.load()
    logs.configure(settings.log_level, settings.log_format)
    port = urlsplit(settings.mlflow_tracking_uri).port
    if len(sys.argv) != 2 or port is None:
        sys.stderr.write("usage: python -m deploy.gateway ADDRESS\n")
        return 2
    asyncio.run(forward(sys.argv[1], port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
