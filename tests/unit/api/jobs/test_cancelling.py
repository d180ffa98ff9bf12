"""POST /jobs/<id>/cancel: what becomes of the job, and who tells Flower."""

import pytest
from flask.testing import FlaskClient

from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.conftest import ClaimJob, Submit


def test_cancelling_a_queued_job_ends_it_at_once(client: FlaskClient, submit: Submit) -> None:
    answer = client.post(f"/jobs/{submit()['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json
    assert answer.json["state"] == "cancelled"
    assert answer.json["reason"]["code"] == "USER_CANCELLED"


def test_cancelling_a_training_job_asks_its_worker_to_stop_it(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore
) -> None:
    job_id = submit()["id"]
    store.started(claim_job(job_id), runner="docker", container="abc")
    answer = client.post(f"/jobs/{job_id}/cancel", json={"force": True})
    assert answer.json
    assert (answer.status_code, answer.json["state"]) == (202, "cancelling")
    assert store.get(job_id).cancel_forced


@pytest.mark.parametrize("is_down", [False, True])
def test_a_job_cancelled_while_it_waits_is_sent_to_a_worker_that_tells_flower(
    is_down: bool, client: FlaskClient, submit: Submit, queue: RecordingQueue
) -> None:
    job_id = submit()["id"]
    queue.sent.clear()
    queue.down = is_down
    assert client.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert queue.sent == ([] if is_down else [job_id])


def test_a_job_that_is_told_to_stop_is_left_to_its_task(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, queue: RecordingQueue
) -> None:
    claim_job(job_id := submit()["id"])
    queue.sent.clear()
    client.post(f"/jobs/{job_id}/cancel")
    assert queue.sent == []


def test_an_ended_job_cannot_be_cancelled(client: FlaskClient, submit: Submit) -> None:
    address = f"/jobs/{submit()['id']}/cancel"
    client.post(address)
    answer = client.post(address)
    assert answer.status_code == 409
    assert answer.json
    assert answer.json["code"] == "JOB_ENDED"
    assert "cancelled" in answer.json["detail"]
