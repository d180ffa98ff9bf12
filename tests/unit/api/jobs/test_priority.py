"""POST /jobs/<id>/priority: which jobs, whose, how far, and that the workers hear of it."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit


def test_a_waiting_job_gets_another_priority_and_its_message_is_sent_again(
    client: FlaskClient, submit: Submit, queue: RecordingQueue
) -> None:
    job_id = submit()["id"]
    queue.sent.clear()
    answer = client.post(f"/jobs/{job_id}/priority", json={"priority": 9})
    assert answer.status_code == 200
    assert answer.json
    assert (answer.json["priority"], answer.json["request"]["priority"]) == (9, 4)
    assert answer.json["queue"]["position"] == 1
    assert answer.headers["ETag"] == client.get(f"/jobs/{job_id}").headers["ETag"]
    assert client.post(f"/jobs/{job_id}/priority", json={"priority": 9}).status_code == 200
    assert queue.sent == [job_id]


def test_it_is_changed_while_redis_is_down(client: FlaskClient, submit: Submit, queue: RecordingQueue) -> None:
    job_id = submit()["id"]
    queue.down = True
    assert client.post(f"/jobs/{job_id}/priority", json={"priority": 9}).status_code == 200


def test_a_job_that_has_begun_keeps_its_own(client: FlaskClient, submit: Submit, claim_job: ClaimJob) -> None:
    job_id = submit()["id"]
    claim_job(job_id)
    answer = client.post(f"/jobs/{job_id}/priority", json={"priority": 9})
    assert answer.json
    assert (answer.status_code, answer.json["code"]) == (409, "JOB_NOT_WAITING")
    assert "is starting; only a job that waits" in answer.json["detail"]


@pytest.mark.parametrize("body", [{}, {"priority": 10}, {"priority": -1}, {"priority": "9"}, {"priority": None}])
def test_what_is_no_priority_is_refused(client: FlaskClient, submit: Submit, body: dict[str, object]) -> None:
    answer = client.post(f"/jobs/{submit()['id']}/priority", json=body)
    assert answer.json
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/priority")


def test_the_rules_for_requests_bound_it_too(make_app: MakeApp, store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[default]\npriority = 3\n")
    client, token = make_app(api_tokens="a", policy_file=tmp_path / "policy.toml").test_client(), new_token()
    facts = {"roles": frozenset({Role.SUBMITTER}), "created_by": "env-1"}
    store.create_token(NewToken(name="ann", hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {token}"}
    job_id = (client.post("/retrain", json=BODY, headers=headers).json or {})["id"]
    refused = client.post(f"/jobs/{job_id}/priority", json={"priority": 4}, headers=headers)
    assert refused.json
    assert refused.status_code == 422
    assert "priority is more than your 3" in refused.json["errors"][0]["message"]
    assert client.post(f"/jobs/{job_id}/priority", json={"priority": 2}, headers=headers).status_code == 200
    acts = [(each.caller, each.action, each.subject) for each in store._audit if each.action == "changePriority"]
    assert ("ann", "changePriority", f"job:{job_id}") in acts
