"""`retrain tokens`, `retrain whoami` and Client.tokens, against the API's own app, over HTTP."""

import json
from collections.abc import Iterator

import pytest

from mypackage.client import Client, ServerUnreachable
from mypackage.client.http import Call, Http
from shared.access.tokens import TOKEN
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand
from tests.support.servers.served_app import ServedApp, served
from tests.unit.conftest import MakeApp


@pytest.fixture
def server(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedApp]:
    with served(make_app, monkeypatch) as start:
        yield start()


@pytest.fixture
def run(server: ServedApp) -> RetrainCommand:
    return RetrainCommand(server.url)


def test_a_pipe_gets_the_token_and_nothing_else(run: RetrainCommand) -> None:
    said = run("tokens", "create", "ci", "--role", "submitter", "--team", "vision", "--expires", "90d")
    assert said.stdout.endswith("\n")
    assert TOKEN.match(said.stdout.strip())
    assert "cannot be shown again" in said.stderr
    assert said.stdout.strip() not in said.stderr
    assert run("whoami", RETRAIN_TOKEN=said.stdout).stdout == "ci: submitter, of team vision (token)\n"
    assert run("whoami").stdout == "local: admin, of all teams (machine)\n"


def test_a_rotated_token_replaces_the_one_before_at_once_or_after_a_while(run: RetrainCommand) -> None:
    first = run("tokens", "create", "ci", "--role", "viewer").stdout
    second = run("tokens", "rotate", "ci", "--overlap", "24h").stdout
    assert [run("whoami", RETRAIN_TOKEN=each).stdout[:3] for each in (first, second)] == ["ci:", "ci:"]
    third = run("tokens", "rotate", "ci").stdout
    assert "unknown, has expired or was revoked" in run("whoami", code=2, RETRAIN_TOKEN=second).stderr
    assert run("whoami", RETRAIN_TOKEN=third).stdout[:3] == "ci:"


def test_a_revoked_token_is_listed_and_opens_nothing(run: RetrainCommand, server: ServedApp) -> None:
    token = run("tokens", "create", "ci", "--role", "viewer", "--role", "approver").stdout
    assert run("tokens", "revoke", "ci").stdout == ""
    run("whoami", code=2, RETRAIN_TOKEN=token)
    (line,) = run("tokens", "list").stdout.splitlines()
    assert line.split("\t") == ["ci", "revoked", "approver,viewer", "", token[:8], "", "", "local"]
    listed = json.loads(run("tokens", "list", "--json").stdout)
    assert listed == Client(server.url).tokens.all() == [Client(server.url).tokens.get("ci")]


@pytest.mark.parametrize("age", ["90", "d", "-1d", "1w", "9999999d", "1.5d"])
def test_an_end_that_says_no_unit_is_refused(run: RetrainCommand, age: str) -> None:
    said = run("tokens", "create", "ci", "--role", "viewer", "--expires", age, code=2)
    assert "such as 24h or 90d" in said.stderr


def test_an_end_is_counted_in_days(run: RetrainCommand, store: MemoryStore) -> None:
    run("tokens", "create", "ci", "--role", "viewer", "--expires", "12h")
    token = store.get_token("ci")
    assert token.expires_at is not None
    assert (token.expires_at - token.created_at).total_seconds() == 12 * 3600


def test_a_call_whose_answer_is_lost_is_not_repeated(server: ServedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one would be refused (the name is taken), or end the secret that an overlap keeps."""
    calls: list[Call] = []

    def lost(_: Http, call: Call) -> None:
        calls.append(call)
        raise ServerUnreachable("gone")

    monkeypatch.setattr(Http, "_answer", lost)
    tokens = Client(server.url).tokens
    with pytest.raises(ServerUnreachable):
        tokens.create("ci", ["viewer"])
    with pytest.raises(ServerUnreachable):
        tokens.rotate("ci")
    assert len(calls) == 2
