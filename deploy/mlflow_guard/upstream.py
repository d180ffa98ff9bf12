"""An ASGI app that streams requests to an MLflow server, with the service's password if that requires one."""

import asyncio
import base64
import json
import logging
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from deploy.mlflow_guard.headers import passed_on
from deploy.mlflow_guard.layer import Gone, Receive, Refused, Scope, Send
from deploy.mlflow_guard.owners import Answer
from shared.own_addresses import is_loopback
from shared.settings import Settings

CHUNK_BYTES = 1 << 17
CONNECT_SECONDS = 10
KEEP_ALIVE_SECONDS = 1.0  # less than any server's, which could close a connection just as it is reused
ASK_SECONDS = 60.0  # for a question of the guard's own
ANSWER_SECONDS = 3600  # an upload is answered once it is in MLflow's storage
OF_THE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"set-cookie", b"trailer", b"transfer-encoding", b"upgrade"}
)

logger = logging.getLogger(__name__)


class Upstream:
    """One MLflow server. ``address``: where connections to loopback come from, so that nobody takes them for local."""

    def __init__(self, settings: Settings, address: str = "") -> None:
        self._base = settings.mlflow_tracking_uri.rstrip("/")
        self._credentials = _authorization(settings)
        host = urlsplit(self._base).hostname or ""
        self._is_here = is_loopback(host)
        self._address = address if self._is_here and ":" not in host else ""
        self._session: aiohttp.ClientSession  # from the server's start to its end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the server's life, and requests."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._forward(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._open() as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            local_addr=(self._address, 0) if self._address else None,
            ssl=ssl.create_default_context(cafile=_certificates()),
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not self._is_here,  # HTTPS_PROXY
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        url = URL(f"{self._base}{scope['raw_path'].decode('latin-1')}{query}", encoded=True)
        has_body = scope["method"] not in ("GET", "HEAD")
        request = self._session.request(
            scope["method"],
            url,
            headers=self._headers(scope),
            data=_body(receive) if has_body else None,
            allow_redirects=False,
        )
        try:
            async with request as answer:
                await _pass_back(answer, receive, send)
        except (aiohttp.ClientError, TimeoutError) as error:
            if isinstance(error.__cause__, Gone):  # in the middle of the body
                raise Gone from error
            raise _away(error) from error

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask MLflow in the service's own name; raise Refused, to be tried again, if it does not answer."""
        url = URL(f"{self._base}{path}", encoded=True).with_query(query)
        headers = {"Content-Type": "application/json"}  # the session adds none
        headers |= {"Authorization": self._credentials.decode()} if self._credentials else {}
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        try:
            async with self._session.request(method, url, headers=headers, json=body, timeout=timeout) as answer:
                said = json.loads(await answer.read()) if answer.status == HTTPStatus.OK else None
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise _away(f"status {answer.status}")
                return Answer(answer.status, said)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _away(error) from error

    def _headers(self, scope: Scope) -> list[tuple[str, str]]:
        sent = passed_on(scope)
        if self._credentials:
            sent.append((b"authorization", self._credentials))
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent]


def _away(error: object) -> Refused:
    logger.warning("MLflow does not answer", extra={"error": str(error)})
    why = "MLflow does not answer; try again in a moment"
    return Refused(why, status=HTTPStatus.SERVICE_UNAVAILABLE, code="TEMPORARILY_UNAVAILABLE")


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the request's body; one that breaks off is not sent as if it were complete."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            yield chunk


async def _pass_back(answer: aiohttp.ClientResponse, receive: Receive, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() not in OF_THE_CONNECTION]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            if gone.done():
                raise Gone
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except (aiohttp.ClientError, TimeoutError) as error:  # the client must not take it for a complete answer
        raise Gone from error
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _authorization(settings: Settings) -> bytes:
    password = settings.mlflow_tracking_password.get_secret_value()
    if not (settings.mlflow_tracking_username or password):
        return b""
    return b"Basic " + base64.b64encode(f"{settings.mlflow_tracking_username}:{password}".encode())


def _certificates() -> str | None:
    """Return the operator's own certificates, found as MLflow's client does."""
    names = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE")
    return next((path for name in names if (path := os.environ.get(name))), None)
