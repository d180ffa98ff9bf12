"""How many jobs of a caller wait, in which queues, and whose an Idempotency-Key is."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.jobs.waiting_limits import OTHER_QUEUES
from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.jobs import a_host
from tests.unit.conftest import BODY, MakeApp


def post(client: FlaskClient, *, token: str = "", key: str = "", **fields: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Idempotency-Key": key} if key else {}
    return client.post("/retrain", json={**BODY, **fields}, headers=headers)


def token_of(store: MemoryStore, name: str) -> str:
    token, roles = new_token(), frozenset({Role.SUBMITTER})
    store.create_token(NewToken(name=name, hash=hash_of(token), hint=token[:8], roles=roles, created_by="env-1"))
    return token


def test_a_caller_with_too_many_waiting_jobs_is_told_what_to_do(make_app: MakeApp, store: MemoryStore) -> None:
    store.limits = Limits(waiting_per_caller=1)
    client = make_app(api_tokens="first,second").test_client()
    assert post(client, token="first").status_code == 202
    refused = post(client, token="first")
    assert (refused.status_code, (refused.json or {})["code"]) == (429, "TOO_MANY_JOBS_QUEUED")
    assert "CALLER_JOBS_QUEUED" in (refused.json or {})["detail"]
    assert "Retry-After" not in refused.headers  # nobody knows when the next one begins
    assert post(client, token="second").status_code == 202


def test_a_key_belongs_to_its_caller(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_tokens="first,second").test_client()
    ann, bob = token_of(store, "ann"), token_of(store, "bob")
    mine = [post(client, token=ann, key="k").json or {} for _ in range(2)]
    others = post(client, token=bob, key="k", experiment_name="other")
    assert mine[0]["id"] == mine[1]["id"]
    assert others.status_code == 202


def test_callers_of_the_setting_share_their_keys_as_before(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_tokens="first,second").test_client()
    first, second = (post(client, token=token, key="k").json or {} for token in ("first", "second"))
    assert first["id"] == second["id"]
    assert list(store._keys) == ["k"]


def test_the_longest_key_fits_whosever_it_is(make_app: MakeApp, store: MemoryStore) -> None:
    client = make_app(api_tokens="first").test_client()
    assert post(client, token=token_of(store, "ann"), key="k" * 255).status_code == 202
    assert max(map(len, store._keys)) <= 255


def test_three_hundred_requests_make_no_three_hundred_queues(client: FlaskClient) -> None:
    answers = [post(client, queue=f"q{number}") for number in range(300)]
    taken = [each for each in answers if each.status_code == 202]
    assert len(taken) == OTHER_QUEUES
    [error] = (answers[-1].json or {})["errors"]
    assert (error["pointer"], error["code"]) == ("/queue", "UNKNOWN_QUEUE")
    assert "known are default, q0, q1" in error["message"]
    assert post(client, queue="q0").status_code == 202
    assert post(client).status_code == 202


def test_queues_of_workers_are_known_however_many_others_there_are(client: FlaskClient, store: MemoryStore) -> None:
    for number in range(OTHER_QUEUES):
        post(client, queue=f"q{number}")
    assert post(client, queue="gpu").status_code == 422
    store.beat(a_host(queues=frozenset({"gpu"})), gap_seconds=60)
    assert post(client, queue="gpu").status_code == 202


@pytest.mark.parametrize(("name", "status"), [("gpu", 202), ("cpu", 202), ("default", 422), ("gpus", 422)])
def test_the_operators_list_of_queues_is_all_there_is(make_app: MakeApp, name: str, status: int) -> None:
    assert post(make_app(queues="gpu,cpu").test_client(), queue=name).status_code == status


def test_a_trigger_names_a_known_queue_too(make_app: MakeApp) -> None:
    body = {"name": "nightly", "template": {**BODY, "queue": "gpus"}, "when": {"every": 3600}}
    refused = make_app(queues="gpu").test_client().post("/triggers", json=body)
    assert [each["pointer"] for each in (refused.json or {})["errors"]] == ["/template/queue"]
