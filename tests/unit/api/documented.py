"""How to get each answer that an operation documents.

What follows from an operation itself is here. What only its own test knows (a path that leads somewhere, a body, an
answer of its own) stands there, as the module's ``DOCUMENTED``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import tests.unit.api
from api.operations.operation import Operation
from shared.errors import Code, FailureType, StoreUnavailable
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending, Resolution
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.conftest import ClaimJob, MakeApp, Submit

Ask = Callable[[], TestResponse]


@dataclass(frozen=True)
class Api:
    """An API on fakes, and what its tests do to it."""

    make_app: MakeApp
    store: MemoryStore
    queue: RecordingQueue
    submit: Submit
    claim_job: ClaimJob
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack  # of what is open until the test ends

    def client(self, **settings: Any) -> FlaskClient:
        """A client of an API with these settings."""
        return self.make_app(**settings).test_client()

    def waiting_job(self) -> str:
        """A job that waits."""
        job_id: str = self.submit()["id"]
        return job_id

    def ended_job(self) -> str:
        """A job that has ended, with all that a job can have."""
        job_id: str = self.submit(model_name="m", retry={"on": ["timeout"]}, parameters={"a": 0.5, "b": True})["id"]
        claim = self.claim_job(job_id)
        self.store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", "3", "run1"))
        self.store.started(claim, runner="docker", container="abc")
        versions = [{"name": "m", "version": 1}]
        result = {"metrics": {"a": 0.5}, "model_versions": versions, "decision": {"promoted": True}}
        reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "ended with 1")
        self.store.finish(claim, Ending(JobState.FAILED, reason=reason, exit_code=1, result=result))
        return job_id


@dataclass(frozen=True)
class Asking:
    """A request that an operation answers well, and those that get other answers of its own, by status."""

    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Ask] = field(default_factory=dict)
    sent: Mapping[str, Any] = field(default_factory=dict)  # how it is sent, where the view itself reads the body


Documented = dict[str, Callable[[Api], Asking]]  # by "METHOD /path"


def asks(operation: Operation, api: Api) -> dict[str, Ask]:
    """For each status, how to be answered with it."""
    knows = _documented().get(f"{operation.method} {operation.path}")
    asking = knows(api) if knows else Asking(operation.path)
    takes_body = any(each.place == "body" for each in operation.inputs)

    def send(client: FlaskClient | None = None, query: str = "", **given: Any) -> TestResponse:
        body = {"json": asking.body} if takes_body else asking.sent
        by = client or api.client(**asking.settings)
        return by.open(asking.path + query, method=operation.method, **{**body, **given})

    return {
        str(int(operation.answers[0].status)): send,
        **(_of_checks(send, api, takes_body=takes_body) if operation.needs else {}),
        **(_of_bodies(send) if takes_body else {}),
        "429": partial(_too_often, send, api),
        **({"503": partial(_without_store, send, api)} if StoreUnavailable in operation.errors else {}),
        **asking.others,
    }


def _documented() -> Documented:
    found: Documented = {}
    for module in walk_packages(tests.unit.api.__path__, "tests.unit.api."):
        found |= getattr(import_module(module.name), "DOCUMENTED", {})
    return found


def _of_checks(send: Callable[..., TestResponse], api: Api, *, takes_body: bool) -> dict[str, Ask]:
    def with_broken_store() -> TestResponse:
        for name in _methods(api.store):
            api.monkeypatch.setattr(api.store, name, lambda *_args, **_kwargs: 1 / 0)
        return send()

    return {
        "401": partial(send, api.client(api_tokens="t")),
        "403": partial(send, headers={"Host": "elsewhere.example.org"}),
        "422": partial(send, json={"what": 1}) if takes_body else partial(send, query="?what=1"),
        "500": with_broken_store,
    }


def _too_often(send: Callable[..., TestResponse], api: Api) -> TestResponse:
    hasty = api.client(api_tokens="t", caller_requests_per_second=0.01, caller_burst_seconds=1)
    given: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    given |= {"headers": {"Authorization": "Bearer t"}}
    send(hasty, **given)
    return send(hasty, **given)


def _without_store(send: Ask, api: Api) -> TestResponse:
    api.store.down = True
    return send()


def _of_bodies(send: Callable[..., TestResponse]) -> dict[str, Ask]:
    return {
        "400": partial(send, json=[]),
        "413": partial(send, json={"a": "x" * 1_000_000}),
        "415": partial(send, json=None, data="{}"),
    }


def _methods(store: MemoryStore) -> Iterator[str]:
    return (name for name in dir(store) if not name.startswith("_") and callable(getattr(store, name)))
