"""Opens a port of loopback at another address of this machine: bytes in, bytes out."""

import asyncio
import sys

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


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], int(sys.argv[2])))
