"""How tests push, what they are told, and how the hooks give each of their answers."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from werkzeug.test import TestResponse

from tests.unit.api.documented import Api, Asking
from tests.unit.api.hooks.senders import Desk, GitHost, as_bytes


def push(desk: Desk, host: GitHost, *, secret: str = "", payload: Any = None, **headers: str) -> TestResponse:
    """Send a push, signed with the host's secret or another one."""
    sent = as_bytes(payload or host.push())
    return desk.send(host.path, sent, {**host.headers(secret or host.secret, sent), **headers})


def told(answer: TestResponse) -> list[tuple[str, str]]:
    """What became of it, by trigger."""
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    return [(each["trigger"], each["outcome"]) for each in answer.json["triggers"]]


def documented_hook(path: str, body: bytes, signed: Callable[[], dict[str, str]], **when: Any) -> Any:
    """Say how the hook gives each of its answers: to a sender with the right secret, and to others."""

    def ask(api: Api) -> Asking:
        Desk(api.client(), api.store, api.client().application.extensions["retrain"].vault).trigger("t", "wort", **when)
        client = api.client()

        def send(data: bytes = body, headers: Mapping[str, str] = MappingProxyType({})) -> TestResponse:
            return client.post(path, data=data, headers={"Content-Type": "application/json", **signed(), **headers})

        return Asking(
            path,
            sent={"data": body, "headers": {"Content-Type": "application/json", **signed()}},
            others={
                "400": lambda: send(b"[]"),
                "401": lambda: send(body + b" ", {"X-Gitlab-Token": "wrong"}),
                "403": lambda: send(headers={"Origin": "https://evil.example"}),
                "413": lambda: send(b" " * 1_000_001),
                "415": lambda: send(headers={"Content-Type": "text/plain"}),
            },
        )

    return ask
