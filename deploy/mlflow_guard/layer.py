"""The ASGI layer: gets a verdict on each request, and passes it on or refuses it in MLflow's own form."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, suppress
from http import HTTPStatus
from typing import Any, Protocol

from deploy.mlflow_guard.bodies import Unfit, parse, read_body
from deploy.mlflow_guard.routes import Body, Decide, Verdict
from shared.secrets.attempt_tokens import Grant

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MEBIBYTE = 1024**2
BODY_BYTES = 16 * MEBIBYTE  # a full batch of MLflow's client (1,000 metrics, 100 parameters of 6,000 bytes) has under 1
TOLD_BYTES = 64 * 1024  # of a refused request's body, to tell what it was about
TOLD_SECONDS = 2.0
HELD_BYTES = 128 * MEBIBYTE  # of all bodies in memory at the same time
ADVICE = "If you need it, ask the operator of this service."

logger = logging.getLogger(__name__)


class Refused(Exception):
    """A refused request; ``status`` and ``code`` are sent to MLflow's client."""

    def __init__(self, why: str, *, status: HTTPStatus = HTTPStatus.FORBIDDEN, code: str = "PERMISSION_DENIED") -> None:
        super().__init__(why)
        self.status, self.code = status, code

    @property
    def is_final(self) -> bool:
        """Whether the same request would be refused again."""
        return self.status in (HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class Gone(Exception):
    """One of the two sides went away in the middle, so no answer is possible."""


class Policy(Protocol):
    """Says who asks, and what that one may write. Raises Refused."""

    def identify(self, scope: Scope) -> Grant | None:
        """Return who asks; None where that does not matter."""

    def admitted(
        self, grant: Grant, verdict: Verdict, scope: Scope, said: dict[str, Any], raw: bytes
    ) -> AbstractAsyncContextManager[bytes | None]:
        """Return a context in which the request may be passed on; it gives the body to send, None for what came."""

    async def note(self, grant: Grant, method: str, path: str, said: dict[str, Any]) -> None:
        """List what is about to be refused."""


class Guard:
    """Guards an ASGI app. There is one per process, because it counts the memory that all requests use."""

    def __init__(
        self,
        app: App,
        *,
        decide: Decide,
        policy: Policy | None = None,
        body_bytes: int = BODY_BYTES,
        held_bytes: int = HELD_BYTES,
    ) -> None:
        self._app, self._decide, self._policy = app, decide, policy
        self._body_bytes, self._free_bytes = body_bytes, held_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})  # the server then answers 403

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        grant, verdict, held = None, Verdict(), bytearray()
        try:
            grant = self._policy.identify(scope) if self._policy else None
            verdict = self._judge(scope)
            await self._pass(grant, verdict, scope, receive, send, held)
        except Refused as refused:
            if self._policy and grant and refused.is_final:
                await self._note(grant, verdict, scope, receive, held)
            await _answer(refused, scope, send)
        except Gone:
            return
        finally:
            self._free(held)

    def _free(self, held: bytearray) -> None:
        self._free_bytes += len(held)
        held.clear()

    async def _pass(
        self,
        grant: Grant | None,
        verdict: Verdict,
        scope: Scope,
        receive: Receive,
        send: Send,
        held: bytearray,
    ) -> None:
        is_file = verdict.body is Body.STREAM
        if verdict.body in (Body.JSON, Body.OPAQUE):
            await self._read(scope, receive, held)
        said = _said(scope, held) if verdict.body is Body.JSON else {}
        if self._policy is None or grant is None:
            await self._app(scope, receive if is_file else _replay(bytes(held), receive), send)
            return
        async with self._policy.admitted(grant, verdict, scope, said, bytes(held)) as body:
            passed = bytes(held) if body is None else body
            await self._app(
                scope if body is None else _with_length(scope, len(passed)),
                receive if is_file else _replay(passed, receive),
                send,
            )

    async def _note(self, grant: Grant, verdict: Verdict, scope: Scope, receive: Receive, held: bytearray) -> None:
        """List the refusal; of a body that was not read yet, read the beginning to tell what it is about."""
        if not held and _has_body(scope) and _announced_bytes(scope) <= TOLD_BYTES and verdict.body is not Body.STREAM:
            with suppress(Refused, Gone, TimeoutError):
                await asyncio.wait_for(self._read(scope, receive, held, most=TOLD_BYTES), TOLD_SECONDS)
        said: dict[str, Any] = {}
        with suppress(Unfit):
            said = parse(bytes(held))
        self._free(held)  # what follows waits for MLflow
        assert self._policy  # noqa: S101 - for the type checker
        await self._policy.note(grant, scope["method"], verdict.route or scope["path"], {**said, **verdict.named})

    def _judge(self, scope: Scope) -> Verdict:
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        verdict = self._decide(scope["method"], path, scope["query_string"])
        if not verdict.passes:
            raise Refused(verdict.refusal)
        headers = {name.lower() for name, _ in scope["headers"]}
        if verdict.body is Body.NONE and _has_body(scope):
            raise Refused("it has a body, which this kind of request has not")
        if verdict.body in (Body.JSON, Body.OPAQUE) and b"content-encoding" in headers:
            raise Refused("its body is compressed; send it as it is")
        return verdict

    async def _read(self, scope: Scope, receive: Receive, held: bytearray, *, most: int | None = None) -> None:
        """Read the whole body, up to the limits."""
        most = most or self._body_bytes
        if _announced_bytes(scope) > most:
            raise self._too_large()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk, more = message.get("body", b""), message.get("more_body", False)
            if len(held) + len(chunk) > most:
                raise self._too_large()
            if len(chunk) > self._free_bytes:
                busy = "too many large requests are under way; try again in a moment"
                raise Refused(busy, status=HTTPStatus.SERVICE_UNAVAILABLE, code="TEMPORARILY_UNAVAILABLE")
            self._free_bytes -= len(chunk)
            held += chunk

    def _too_large(self) -> Refused:
        why = f"its body has more than {self._body_bytes} bytes: send less at once, or log it as an artifact"
        return Refused(why, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, code="REQUEST_LIMIT_EXCEEDED")


def _said(scope: Scope, held: bytearray) -> dict[str, Any]:
    try:
        return read_body(scope["path"], bytes(held))
    except Unfit as unfit:
        raise Refused(str(unfit)) from unfit


def _with_length(scope: Scope, length: int) -> Scope:
    headers = [each for each in scope["headers"] if each[0].lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _has_body(scope: Scope) -> bool:
    names = {name.lower() for name, _ in scope["headers"]}
    return b"transfer-encoding" in names or _announced_bytes(scope) > 0


def _announced_bytes(scope: Scope) -> int:
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    with suppress(ValueError):
        return max((int(each) for each in lengths), default=0)
    raise Refused("its Content-Length is not a number")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that gives the body as one message, and then the server's messages."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        if messages:
            return messages.pop()
        while (message := await receive())["type"] == "http.request":
            pass  # of a body that was not read, as it has none
        return message

    return again


async def _answer(refused: Refused, scope: Scope, send: Send) -> None:
    request = f"{scope['method']} {scope['path']}"[:300]
    client = (scope.get("client") or ("",))[0]
    if refused.status is not HTTPStatus.SERVICE_UNAVAILABLE:  # it is not the request's fault, and will be retried soon
        logger.warning("request to MLflow refused", extra={"request": request, "why": str(refused), "client": client})
    said = {"error_code": refused.code, "message": f"The guard before MLflow refused {request}: {refused}. {ADVICE}"}
    body = json.dumps(said).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length), (b"connection", b"close")]
    if refused.status is HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": refused.status.value, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
