"""What GET /jobs/<id> says about the queue, and that no 304 hides a change of it."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.scheduling.hosts import QueueCode
from shared.scheduling.queue_position import QueuePosition
from tests.fakes.store import MemoryStore
from tests.unit.conftest import HOST, ClaimJob, Submit

NOWHERE: dict[str, Any] = {"name": "default", "position": None, "code": None, "blocking": [], "message": None}
SECOND = QueuePosition(2, QueueCode.KEY_LIMIT, "Job a has the same concurrency_key.", ("a",))


class QueuePositions:
    """A store's answers about the queue, as the test says."""

    def __init__(self, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place: QueuePosition | None = SECOND
        self.asked = 0
        self._store = store
        monkeypatch.setattr(store, "find_queue_position", self._find)

    def _find(self, job_id: str) -> QueuePosition | None:
        self.asked += 1
        self._store.get(job_id)
        return self.place


@pytest.fixture
def places(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> QueuePositions:
    return QueuePositions(store, monkeypatch)


def get_with_etag(client: FlaskClient, job_id: str, etag: str, query: str = "") -> TestResponse:
    return client.get(f"/jobs/{job_id}{query}", headers={"If-None-Match": etag})


def test_a_queued_job_tells_its_place_and_what_it_waits_for(
    client: FlaskClient, submit: Submit, places: QueuePositions
) -> None:
    job_id = submit()["id"]
    assert (client.get(f"/jobs/{job_id}").json or {})["queue"] == {
        "name": "default",
        "position": 2,
        "code": "KEY_LIMIT",
        "blocking": ["a"],
        "message": "Job a has the same concurrency_key.",
    }


def test_the_places_are_those_of_the_store(client: FlaskClient, submit: Submit, store: MemoryStore) -> None:
    first, second = submit()["id"], submit()["id"]
    assert (client.get(f"/jobs/{first}").json or {})["queue"]["code"] == "NO_WORKER"
    store.beat(HOST, gap_seconds=30)
    found = [(client.get(f"/jobs/{job_id}").json or {})["queue"] for job_id in (first, second)]
    assert [place["position"] for place in found] == [1, 2]
    assert found[0]["code"] == "NEXT"
    assert found[0]["message"]


def test_a_job_that_is_not_queued_has_no_place(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore, places: QueuePositions
) -> None:
    job_id = submit()["id"]
    claim = claim_job(job_id)
    assert (client.get(f"/jobs/{job_id}").json or {})["queue"] == NOWHERE
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert (client.get(f"/jobs/{job_id}").json or {})["queue"] == NOWHERE
    assert places.asked == 0


def test_a_job_that_starts_while_it_is_read_is_answered_as_started(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit()["id"]

    def claimed_meanwhile(job_id: str) -> None:
        claim_job(job_id)

    monkeypatch.setattr(store, "find_queue_position", claimed_meanwhile)
    job = client.get(f"/jobs/{job_id}").json or {}
    assert (job["state"], job["queue"]) == ("starting", NOWHERE)


def test_lists_and_the_answer_to_a_submission_name_the_queue_only(
    client: FlaskClient, submit: Submit, places: QueuePositions
) -> None:
    assert submit()["queue"] == NOWHERE
    page = client.get("/jobs").json or {}
    assert [job["queue"] for job in page["jobs"]] == [NOWHERE]
    assert places.asked == 0


@pytest.mark.parametrize(
    "place",
    [
        QueuePosition(1, SECOND.code, SECOND.message, SECOND.blocking),
        QueuePosition(2, QueueCode.SLOTS, SECOND.message, SECOND.blocking),
        QueuePosition(2, SECOND.code, "Another message.", SECOND.blocking),
        QueuePosition(2, SECOND.code, SECOND.message, ("b",)),
    ],
)
def test_a_changed_place_is_never_hidden_by_a_304(
    client: FlaskClient, submit: Submit, places: QueuePositions, place: QueuePosition
) -> None:
    job_id = submit()["id"]
    etag = client.get(f"/jobs/{job_id}").headers["ETag"]
    assert get_with_etag(client, job_id, etag).status_code == 304
    places.place = place
    changed = get_with_etag(client, job_id, etag)
    assert changed.status_code == 200
    assert (changed.json or {})["queue"]["position"] == place.position
    assert get_with_etag(client, job_id, changed.headers["ETag"]).status_code == 304


def test_the_etag_of_a_submission_does_not_hide_the_place(client: FlaskClient, places: QueuePositions) -> None:
    submitted = client.post("/retrain", json={"experiment_name": "e", "git_uri": "https://host/a.git"})
    answer = get_with_etag(client, (submitted.json or {})["id"], submitted.headers["ETag"])
    assert answer.status_code == 200


def test_a_place_that_changes_does_not_end_a_wait_but_is_told_at_its_end(
    client: FlaskClient, submit: Submit, places: QueuePositions, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit()["id"]
    etag = client.get(f"/jobs/{job_id}").headers["ETag"]
    polls: list[str] = []
    get_version = store.get_version

    def note(job_id: str) -> tuple[int, JobState]:
        polls.append(job_id)
        places.place = QueuePosition(1, QueueCode.NEXT, "It is the next one.")
        return get_version(job_id)

    monkeypatch.setattr(store, "get_version", note)
    answer = get_with_etag(client, job_id, etag, "?wait=0.3")
    assert len(polls) >= 2
    assert answer.status_code == 200
    assert (answer.json or {})["queue"]["position"] == 1


@pytest.mark.parametrize("sent", ["W/{etag}", '"other", {etag}', "{etag}"])
def test_an_etag_counts_in_every_form_that_http_has_for_it(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, places: QueuePositions, sent: str
) -> None:
    job_id = submit()["id"]
    etag = sent.format(etag=client.get(f"/jobs/{job_id}").headers["ETag"])
    assert get_with_etag(client, job_id, etag, "?wait=0.1").status_code == 304
    claim_job(job_id)
    assert get_with_etag(client, job_id, etag, "?wait=60").status_code == 200


def test_an_attempt_tells_which_gpus_were_its_own(client: FlaskClient, submit: Submit, claim_job: ClaimJob) -> None:
    job_id = submit(resources={"gpus": 1})["id"]
    claim_job(job_id)
    [attempt] = (client.get(f"/jobs/{job_id}").json or {})["attempts"]
    assert attempt["gpu_ids"] == ["0"]
