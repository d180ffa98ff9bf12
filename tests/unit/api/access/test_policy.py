"""What may be asked in a request, by the team and roles of its sender."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, MakeApp

POLICY = """
[default]
git_hosts = ["github.com"]
queues = ["default"]
gpus = 0
cpus = 2
memory = "1g"
run_seconds = 3600
queue_seconds = 60
priority = 3
[team.vision]
gpus = 2
[role.admin]
queues = "any"
"""


@pytest.fixture
def client(make_app: MakeApp, tmp_path: Path) -> FlaskClient:
    (tmp_path / "policy.toml").write_text(POLICY)
    return make_app(api_tokens="admin", policy_file=tmp_path / "policy.toml").test_client()


def token_of(store: MemoryStore, team: str | None, *roles: Role) -> dict[str, str]:
    token = new_token()
    name = f"t{len(store._tokens)}"
    new = NewToken(
        name=name, hash=hash_of(token), hint=token[:8], roles=frozenset(roles), team=team, created_by="env-1"
    )
    store.create_token(new)
    return {"Authorization": f"Bearer {token}"}


def refused(client: FlaskClient, headers: dict[str, str], **fields: Any) -> dict[str, str]:
    answer = client.post("/retrain", json={**BODY, **fields}, headers=headers)
    return {each["pointer"]: each["message"] for each in (answer.json or {}).get("errors", ())}


@pytest.mark.parametrize(
    ("fields", "pointer", "said"),
    [
        ({"queue": "gpu"}, "/queue", "queues in [default] of POLICY_FILE"),
        ({"git_uri": "https://gitlab.com/a/b.git"}, "/git_uri", "gitlab.com"),
        ({"dataset_repo": "https://gitlab.com/a/b.git@v1"}, "/dataset_repo", "gitlab.com"),
        ({"resources": {"gpus": 1}}, "/resources/gpus", "more than your 0"),
        ({"resources": {"cpus": 2.5}}, "/resources/cpus", "more than your 2"),
        ({"resources": {"memory": "2g"}}, "/resources/memory", "more than your 1073741824 bytes"),
        ({"timeouts": {"run_seconds": 3601.0}}, "/timeouts/run_seconds", "more than your 3600"),
        ({"timeouts": {"queue_seconds": 61.0}}, "/timeouts/queue_seconds", "more than your 60"),
        ({"priority": 4}, "/priority", "an operator of this service may change that"),
    ],
)
def test_what_is_beyond_the_rules_is_refused_with_its_place(
    client: FlaskClient, store: MemoryStore, fields: dict[str, Any], pointer: str, said: str
) -> None:
    found = refused(client, token_of(store, None, Role.SUBMITTER), **fields)
    assert list(found) == [pointer]
    assert said in found[pointer]


def test_all_that_is_wrong_is_told_at_once(client: FlaskClient, store: MemoryStore) -> None:
    found = refused(client, token_of(store, None, Role.SUBMITTER), queue="gpu", priority=9, resources={"gpus": 1})
    assert sorted(found) == ["/priority", "/queue", "/resources/gpus"]


def test_a_team_and_a_role_have_their_own_words(client: FlaskClient, store: MemoryStore) -> None:
    vision = token_of(store, "vision", Role.SUBMITTER)
    assert refused(client, vision, resources={"gpus": 2}) == {}
    assert list(refused(client, vision, queue="gpu")) == ["/queue"]
    admin = {"Authorization": "Bearer admin"}
    assert refused(client, admin, queue="gpu") == {}
    assert list(refused(client, admin, resources={"gpus": 1})) == ["/resources/gpus"]  # no exception was made for it


def test_what_a_request_leaves_out_is_bounded_too(client: FlaskClient, store: MemoryStore) -> None:
    answer = client.post("/retrain", json=BODY, headers=token_of(store, None, Role.SUBMITTER))
    [record] = store._records.values()
    assert answer.status_code == 202
    assert record.job.priority == 3
    assert record.job.request["timeouts"] == {"run_seconds": 3600, "queue_seconds": 60}
    assert record.deadline_at is not None
    assert (record.deadline_at - record.job.created_at).total_seconds() == 60


def test_a_repeated_request_is_the_same_although_rules_bound_it(client: FlaskClient, store: MemoryStore) -> None:
    headers = {**token_of(store, None, Role.SUBMITTER), "Idempotency-Key": "k"}
    ids = {(client.post("/retrain", json=BODY, headers=headers).json or {})["id"] for _ in range(2)}
    assert len(ids) == 1


def test_a_triggers_template_is_held_to_its_makers_rules(client: FlaskClient, store: MemoryStore) -> None:
    operator = token_of(store, None, Role.OPERATOR)
    body = {"name": "nightly", "template": {**BODY, "priority": 9}, "when": {"every": 3600}}
    answer = client.post("/triggers", json=body, headers=operator)
    assert [each["pointer"] for each in (answer.json or {})["errors"]] == ["/template/priority"]


def test_a_job_is_repeated_under_the_rules_of_who_repeats_it(client: FlaskClient, store: MemoryStore) -> None:
    vision = token_of(store, "vision", Role.SUBMITTER)
    job_id = (client.post("/retrain", json={**BODY, "resources": {"gpus": 2}}, headers=vision).json or {})["id"]
    client.post(f"/jobs/{job_id}/cancel", headers=vision)
    answer = client.post(f"/jobs/{job_id}/retry", headers=token_of(store, None, Role.OPERATOR))
    assert [each["pointer"] for each in (answer.json or {})["errors"]] == ["/resources/gpus"]


def test_the_default_of_gpus_is_held_to_the_rules_of_a_triggers_maker_too(
    make_app: MakeApp, store: MemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    client = make_app(api_tokens="admin", policy_file=tmp_path / "policy.toml", default_gpus=1).test_client()
    body = {"name": "nightly", "template": BODY, "when": {"every": 3600}}
    answer = client.post("/triggers", json=body, headers=token_of(store, None, Role.OPERATOR))
    assert [each["pointer"] for each in (answer.json or {})["errors"]] == ["/template/resources/gpus"]


def test_a_trigger_that_is_fired_by_hand_has_the_rules_of_its_maker(client: FlaskClient, store: MemoryStore) -> None:
    body = {"name": "nightly", "template": {**BODY, "resources": {"gpus": 2}}, "when": {"every": 3600}}
    made = client.post("/triggers", json=body, headers=token_of(store, "vision", Role.OPERATOR))
    fired = client.post("/triggers/nightly/fire", headers=token_of(store, None, Role.OPERATOR))
    assert (made.status_code, fired.status_code) == (201, 202)
    [record] = store._records.values()
    assert (record.job.gpus, record.job.request["timeouts"]["run_seconds"]) == (2, 3600)
