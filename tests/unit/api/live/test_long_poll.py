"""GET /jobs/<id>?wait=SECONDS."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.jobs.model import JobState
from shared.jobs.records import Ending
from tests.fakes.store import MemoryStore
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def polls(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the store while requests wait."""
    asked: list[str] = []
    get_version = store.get_version

    def note(job_id: str) -> tuple[int, JobState]:
        asked.append(job_id)
        return get_version(job_id)

    monkeypatch.setattr(store, "get_version", note)
    return asked


def test_waiting_ends_when_the_job_ends(
    client: FlaskClient,
    submit: Submit,
    claim_job: ClaimJob,
    store: MemoryStore,
    threads: ThreadPoolExecutor,
    polls: list[str],
) -> None:
    job_id = submit()["id"]
    claim = claim_job(job_id)
    answer: Future[TestResponse] = threads.submit(client.get, f"/jobs/{job_id}?wait=60")
    wait_until(lambda: len(polls) >= 2)
    assert not answer.done()
    store.finish(claim, Ending(JobState.SUCCEEDED))
    assert (answer.result(timeout=5).json or {})["state"] == "succeeded"


def test_waiting_with_an_etag_ends_with_any_change(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, threads: ThreadPoolExecutor, polls: list[str]
) -> None:
    job_id = submit()["id"]
    etag = client.get(f"/jobs/{job_id}").headers["ETag"]
    answer = threads.submit(client.get, f"/jobs/{job_id}?wait=60", headers={"If-None-Match": etag})
    wait_until(lambda: len(polls) >= 2)
    claim_job(job_id)
    assert (answer.result(timeout=5).json or {})["state"] == "starting"


def test_waiting_ends_when_the_time_is_over(client: FlaskClient, submit: Submit) -> None:
    job_id = submit()["id"]
    etag = client.get(f"/jobs/{job_id}").headers["ETag"]
    began = time.monotonic()
    assert client.get(f"/jobs/{job_id}?wait=0.3", headers={"If-None-Match": etag}).status_code == 304
    assert 0.3 <= time.monotonic() - began < 5


def test_an_ended_job_is_answered_at_once(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore, polls: list[str]
) -> None:
    job_id = submit()["id"]
    store.finish(claim_job(job_id), Ending(JobState.SUCCEEDED))
    assert client.get(f"/jobs/{job_id}?wait=60").status_code == 200
    assert len(polls) == 2  # whether to wait, and whether what is remembered of it is still true


def test_an_unknown_job_is_not_waited_for(client: FlaskClient) -> None:
    assert client.get("/jobs/nope?wait=60").status_code == 404


def test_half_of_the_threads_may_wait_and_the_others_are_answered_at_once(
    make_app: MakeApp, threads: ThreadPoolExecutor, polls: list[str]
) -> None:
    app = make_app(api_threads=4)
    client = app.test_client()
    job_id = (client.post("/retrain", json=BODY).json or {})["id"]
    waiting = [threads.submit(app.test_client().get, f"/jobs/{job_id}?wait=60") for _ in range(2)]
    wait_until(lambda: len(polls) >= 2)
    assert client.get(f"/jobs/{job_id}?wait=60").status_code == 200
    assert not any(answer.done() for answer in waiting)
    app.extensions["retrain"].long_poll.stop()
    assert [answer.result(timeout=5).status_code for answer in waiting] == [200, 200]


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon"])
def test_a_wait_that_is_not_between_0_and_60_seconds_is_refused(client: FlaskClient, wait: str) -> None:
    answer = client.get(f"/jobs/nope?wait={wait}")
    assert answer.status_code == 422
    assert (answer.json or {})["errors"][0]["pointer"] == "/wait"


def test_a_store_that_goes_away_while_a_request_waits_ends_the_wait(
    client: FlaskClient, submit: Submit, store: MemoryStore, threads: ThreadPoolExecutor, polls: list[str]
) -> None:
    job_id = submit()["id"]
    answer = threads.submit(client.get, f"/jobs/{job_id}?wait=60")
    wait_until(lambda: len(polls) >= 2)
    store.down = True
    assert answer.result(timeout=5).status_code == 503
