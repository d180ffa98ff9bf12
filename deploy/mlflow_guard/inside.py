"""Our own MLflow's app as trainings' guard reaches it: in the same process, without a connection between."""

import asyncio
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlencode

from deploy.mlflow_guard.headers import passed_on
from deploy.mlflow_guard.layer import App, Message, Receive, Refused, Scope, Send
from deploy.mlflow_guard.owners import Answer

ASK_SECONDS = 60.0  # for a question of the guard's own


class Inside:
    """MLflow's app. ``host``: a name that it knows as its own."""

    def __init__(self, app: App, host: str) -> None:
        self._app, self._host = app, (b"host", host.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a training's request; nothing that it says of its way here reaches MLflow."""
        await self._app({**scope, "headers": [self._host, *passed_on(scope)]}, receive, send)

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Ask MLflow in the service's own name; raise Refused, to be tried again, if it does not answer."""
        sent = b"" if body is None else json.dumps(body).encode()
        question = _Question(sent)
        headers = [self._host, (b"content-type", b"application/json"), (b"content-length", str(len(sent)).encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": urlencode(query or {}).encode(),
            "headers": headers,
            "server": None,
            "client": None,
        }
        try:
            await asyncio.wait_for(self._app(scope, question.receive, question.send), ASK_SECONDS)
        except TimeoutError as error:
            raise _away() from error
        if question.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _away()
        return Answer(question.status, json.loads(question.said) if question.status == HTTPStatus.OK else None)


class _Question:
    """The two ends of a request that nobody sent."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self.status, self.said = 0, b""

    async def receive(self) -> Message:
        """Give the body, and then nothing: whoever asked stays."""
        if self._body is None:
            await asyncio.Event().wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Keep the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.said += message.get("body", b"")


def _away() -> Refused:
    why = "MLflow does not answer; try again in a moment"
    return Refused(why, status=HTTPStatus.SERVICE_UNAVAILABLE, code="TEMPORARILY_UNAVAILABLE")
