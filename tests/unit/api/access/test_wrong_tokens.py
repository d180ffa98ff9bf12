"""Whoever tries tokens is slowed down, and cannot lock out those who have right ones."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from api.access.wrong_tokens import LOOKS_A_SECOND, WRONG_A_MINUTE
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.store import MemoryStore
from tests.unit.conftest import MakeApp

LONG_TOKEN = "q8ZsWb0GJt3LxNc7Vd2Yk5"


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app(api_tokens=f"short,{LONG_TOKEN}").test_client()


def ask(client: FlaskClient, token: str, address: str = "203.0.113.9", path: str = "/jobs") -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return client.get(path, headers=headers, environ_base={"REMOTE_ADDR": address}).status_code


def guess(client: FlaskClient, number: int = WRONG_A_MINUTE, **given: Any) -> list[int]:
    return [ask(client, f"guess-{each}", **given) for each in range(number)]


def recorded(store: MemoryStore) -> str:
    token = new_token()
    store.create_token(
        NewToken(
            name=f"t{len(store._tokens)}",
            hash=hash_of(token),
            hint=token[:8],
            roles=frozenset({Role.VIEWER}),
            created_by="env-1",
        )
    )
    return token


def test_after_some_wrong_tokens_a_guess_is_not_even_compared(client: FlaskClient) -> None:
    assert guess(client) == [401] * WRONG_A_MINUTE
    assert ask(client, "short") == 429  # right, but for all that an attacker may learn, nobody looked
    assert ask(client, "short", address="203.0.113.8") == 200


def test_the_refusal_says_when_to_come_back(client: FlaskClient) -> None:
    guess(client)
    refused = client.get("/jobs", headers={"Authorization": "Bearer x"}, environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert (refused.json or {})["code"] == "TOO_MANY_WRONG_TOKENS"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60 / WRONG_A_MINUTE


def test_who_was_let_in_before_is_let_in_during_an_attack_from_the_same_address(client: FlaskClient) -> None:
    assert ask(client, "short") == 200
    guess(client, 50)
    assert ask(client, "short") == 200


def test_a_long_token_of_the_settings_is_never_shut_out(client: FlaskClient) -> None:
    guess(client, 50)
    assert ask(client, LONG_TOKEN) == 200


def test_a_new_token_of_a_record_is_let_in_during_an_attack(client: FlaskClient, store: MemoryStore) -> None:
    guess(client, 50)
    assert ask(client, recorded(store)) == 200


def test_guesses_of_records_tokens_ask_the_store_a_few_times_a_second(
    client: FlaskClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(store, "find_token", looked.append)
    guess(client)
    answers = [ask(client, new_token(), address="203.0.113.9") for _ in range(200)]
    assert 429 in answers
    assert len(looked) <= 3 * LOOKS_A_SECOND


def test_the_same_wrong_token_again_and_again_is_no_attack(client: FlaskClient) -> None:
    assert [ask(client, "expired") for _ in range(50)] == [401] * 50
    assert ask(client, "short") == 200


def test_a_token_that_was_revoked_is_not_taken_for_a_right_one(
    client: FlaskClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.access.known_tokens.KEPT_SECONDS", 0)
    token = recorded(store)
    assert ask(client, token) == 200
    store.revoke_token("t0")
    assert ask(client, token) == 401


def test_no_token_at_all_is_no_guess(client: FlaskClient) -> None:
    for _ in range(50):
        assert client.get("/jobs", environ_base={"REMOTE_ADDR": "203.0.113.9"}).status_code == 401
    assert ask(client, "short") == 200
