"""GET /jobs and GET /jobs/<id>."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from api.views.jobs.job import pause_seconds
from shared.errors import Code, FailureType
from shared.jobs.model import Job, JobState, Reason
from shared.jobs.records import Ending, Resolution
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

COMMIT = "ab12cd34" * 5
RESULT = {
    "metrics": {"accuracy": 0.91, "loss": float("nan")},
    "model_versions": [{"name": "iris", "version": "7"}],
    "decision": {"promoted": False, "reason": "0.91 < 0.94"},
    "dataset": {"repo": "https://host/data.git", "rev": "e" * 40, "path": "set", "digest": "md5:1"},
    "base_model": {"name": "iris", "version": "6", "run_id": "run0", "source": "models:/m-1"},
}


def test_a_finished_job_tells_all_about_its_results(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore
) -> None:
    job_id = submit(model_name="iris", labels={"team": "vision"})["id"]
    claim = claim_job(job_id)
    store.resolve(claim, Resolution("f" * 40, "python:3.11", "sha256:1", "3", "run1", base_model_version="6"))
    store.started(claim, runner="docker", container="abc")
    store.finish(claim, Ending(JobState.SUCCEEDED, exit_code=0, result=RESULT))
    job = client.get(f"/jobs/{job_id}").json
    assert job
    resolved = {"commit_sha": "f" * 40, "image": "python:3.11", "image_id": "sha256:1", "base_model_version": "6"}
    dataset = {"repo": "https://host/data.git", "rev": "e" * 40, "path": "set", "digest": "md5:1"}
    assert job["resolved"] == {**resolved, "dataset": dataset, "base_model": RESULT["base_model"]}
    assert job["mlflow"]["url"] == "http://127.0.0.1:5007/#/experiments/3/runs/run1?workflowType=machine_learning"
    assert job["model"] == {"name": "iris", "version": "7"}
    assert job["promotion"] == RESULT["decision"]
    assert job["metrics"] == {"accuracy": 0.91, "loss": None}
    [attempt] = job["attempts"]
    assert (attempt["number"], attempt["runner"], attempt["container"]) == (1, "docker", "abc")
    assert attempt["exit_code"] == 0
    assert [t["to"] for t in job["transitions"]] == ["queued", "starting", "running", "succeeded"]
    assert job["transitions"][0]["from"] is None
    assert job["concurrency_key"] == "model:iris"
    assert job["labels"] == {"team": "vision"}
    assert job["links"] == {
        "self": f"/jobs/{job_id}",
        "logs": f"/jobs/{job_id}/logs",
        "mlflow": job["mlflow"]["url"],
        "flower": f"http://127.0.0.1:5555/task/{job_id}",
    }


def test_a_failed_job_says_why(client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore) -> None:
    job_id = submit()["id"]
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "train.py ended with 3")
    store.finish(claim_job(job_id), Ending(JobState.FAILED, reason=reason, exit_code=3))
    job = client.get(f"/jobs/{job_id}").json
    assert job
    assert job["reason"] == {"code": "NONZERO_EXIT", "type": "user_error", "message": "train.py ended with 3"}
    assert job["attempts"][0]["reason"] == job["reason"]
    assert (job["mlflow"], job["model"], job["promotion"], job["metrics"]) == (None, None, None, {})


def test_times_are_rfc_3339_in_utc_with_milliseconds(make_app: MakeApp, queue: RecordingQueue) -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
    app = make_app()
    store = app.extensions["retrain"].store
    store._clock = at.astimezone
    job = app.test_client().post("/retrain", json=BODY).json
    assert job
    assert job["created_at"] == "2026-01-31T12:00:00.123Z"
    assert job["ended_at"] is None


@pytest.mark.parametrize(
    ("tracking", "public", "url"),
    [
        (
            "http://me:s3cret@mlflow:5000/",
            "",
            "http://mlflow:5000/#/experiments/3/runs/r?workflowType=machine_learning",
        ),
        (
            "http://mlflow:5000",
            "https://ml.example.org/x/",
            "https://ml.example.org/x/#/experiments/3/runs/r?workflowType=machine_learning",
        ),
        ("file:///mlruns", "", None),
    ],
)
def test_the_runs_page_is_where_people_reach_mlflow_and_holds_no_password(
    make_app: MakeApp, claim_job: ClaimJob, store: MemoryStore, tracking: str, public: str, url: str | None
) -> None:
    client = make_app(mlflow_tracking_uri=tracking, mlflow_public_url=public).test_client()
    job_id = (client.post("/retrain", json=BODY).json or {})["id"]
    store.resolve(claim_job(job_id), Resolution(experiment_id="3", run_id="r"))
    answer = client.get(f"/jobs/{job_id}")
    assert answer.json
    assert answer.json["mlflow"]["url"] == url
    assert "s3cret" not in answer.text


@pytest.mark.parametrize("job_id", ["5c2f7c1e-3a4b-4b2e-9a6d-0c1d2e3f4a5b", "nope", "%00", "x" * 300])
def test_an_unknown_job_is_not_found(client: FlaskClient, job_id: str) -> None:
    answer = client.get(f"/jobs/{job_id}")
    assert answer.status_code == 404
    assert answer.json
    assert answer.json["code"] == "JOB_NOT_FOUND"


def test_the_etag_changes_with_the_job_and_only_then(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore
) -> None:
    job_id = submit()["id"]
    etag = client.get(f"/jobs/{job_id}").headers["ETag"]
    same = client.get(f"/jobs/{job_id}", headers={"If-None-Match": etag})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", etag)
    claim = claim_job(job_id)
    changed = client.get(f"/jobs/{job_id}", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    store.renew(claim, lease_seconds=60)
    again = client.get(f"/jobs/{job_id}", headers={"If-None-Match": changed.headers["ETag"]})
    assert again.status_code == 304


def test_retry_after_is_there_until_the_job_ends(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore
) -> None:
    job_id = submit()["id"]
    assert client.get(f"/jobs/{job_id}").headers["Retry-After"] == "1"
    store.finish(claim_job(job_id), Ending(JobState.SUCCEEDED))
    assert "Retry-After" not in client.get(f"/jobs/{job_id}").headers


@pytest.mark.parametrize(
    ("state", "waited", "next_in", "pause"),
    [
        (JobState.RUNNING, 1000, None, 1),
        (JobState.QUEUED, -3, None, 1),
        (JobState.QUEUED, 2.5, None, 3),
        (JobState.QUEUED, 1000, None, 5),
        (JobState.RETRY_WAIT, 1000, 2, 2),
        (JobState.RETRY_WAIT, 1000, 300, 5),
    ],
)
def test_asking_again_pays_off_soon_while_it_trains_and_later_while_it_waits(
    store: MemoryStore, submit: Submit, state: JobState, waited: float, next_in: float | None, pause: int
) -> None:
    job = store.get(submit()["id"])
    now = job.queued_at + timedelta(seconds=waited)
    next_at = now + timedelta(seconds=next_in) if next_in else None
    fields = {**vars(job), "state": state, "next_attempt_at": next_at}
    assert pause_seconds(Job(**fields), now) == pause


def listed(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"/jobs?{query}")
    assert answer.status_code == 200, answer.text
    return [job["request"]["experiment_name"] for job in (answer.json or {})["jobs"]]


@pytest.fixture
def three(submit: Submit, claim_job: ClaimJob, store: MemoryStore) -> dict[str, dict[str, Any]]:
    """a is queued, b is starting, c is queued; newest last."""
    jobs = {
        "a": submit(experiment_name="a", model_name="m", labels={"team": "vision"}),
        "b": submit(experiment_name="b", labels={"team": "text=x"}),
        "c": submit(experiment_name="c"),
    }
    store.resolve(claim_job(jobs["b"]["id"]), Resolution(commit_sha=COMMIT))
    return jobs


def test_jobs_are_listed_by_how_their_ids_begin_however_it_is_written(
    client: FlaskClient, three: dict[str, Any]
) -> None:
    for query in ("id", "q"):
        assert listed(client, f"{query}={three['b']['id'][:8].upper()}") == ["b"]
    assert client.get("/jobs?id=abc").status_code == 422
    assert client.get("/jobs?commit=abcxyz").status_code == 422


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "cba"),
        ("state=queued", "ca"),
        ("state=queued,starting", "cba"),
        ("state=queued&state=starting", "cba"),
        ("experiment=b", "b"),
        ("model=m", "a"),
        ("label=team", "ba"),
        ("label=team=vision", "a"),
        ("label=team=text=x", "b"),
        ("state=queued&label=team", "a"),
        ("host=gpu-1", "b"),
        ("host=gpu-1&state=queued", ""),
        (f"commit={COMMIT[:6]}", "b"),
        (f"commit={COMMIT.upper()}", "b"),
        (f"commit={'0' * 6}", ""),
        ("q=a", "a"),
        ("q=m", "a"),
        ("q=gpu-1", "b"),
        (f"q={COMMIT[:7]}", "b"),
        ("q=+c+", "c"),
        ("q=team", ""),
        ("q=team=vision", "a"),
        ("q=team=text=x&state=starting", "b"),
        ("q=team=text=x&state=queued", ""),
        ("q=%25", ""),
        ("created_after=2001-01-31T12:00:00Z", "cba"),
        ("created_after=2100-01-31T12:00:00%2B02:00", ""),
    ],
)
def test_a_list_holds_the_jobs_that_match_newest_first(
    client: FlaskClient, three: dict[str, Any], query: str, found: str
) -> None:
    assert listed(client, query) == list(found)


def test_pages_follow_one_another_whatever_arrives_meanwhile(
    client: FlaskClient, three: dict[str, Any], submit: Submit
) -> None:
    first = client.get("/jobs?limit=2&state=queued,starting&label=team")
    assert first.json
    assert first.json["next"] is None
    first = client.get("/jobs?limit=2&state=queued,starting")
    assert first.json
    following = first.json["next"]
    assert first.headers["Link"] == f'<{following}>; rel="next"'
    submit(experiment_name="d")
    second = client.get(following)
    assert second.json
    assert [job["id"] for job in second.json["jobs"]] == [three["a"]["id"]]
    assert second.json["next"] is None
    assert "Link" not in second.headers
    assert quote("queued,starting") in following


def test_a_listed_job_comes_without_its_transitions(client: FlaskClient, three: dict[str, Any]) -> None:
    page = client.get("/jobs?limit=1").json
    assert page
    assert "transitions" not in page["jobs"][0]


def _list_jobs(api: Api) -> Asking:
    for _ in range(2):
        api.waiting_job()
    return Asking("/jobs?limit=1", others={"422": lambda: api.client().get("/jobs?what=1")})


def _get_job(api: Api) -> Asking:
    client, path = api.client(), f"/jobs/{api.ended_job()}"
    etag = client.get(path).headers["ETag"]
    others = {
        "304": lambda: client.get(path, headers={"If-None-Match": etag}),
        "404": lambda: client.get("/jobs/nope"),
    }
    return Asking(path, others=others)


def _cancel_job(api: Api) -> Asking:
    client, ended = api.client(), api.ended_job()
    others = {
        "404": lambda: client.post("/jobs/nope/cancel"),
        "409": lambda: client.post(f"/jobs/{ended}/cancel"),
    }
    return Asking(f"/jobs/{api.waiting_job()}/cancel", others=others)


def _change_priority(api: Api) -> Asking:
    client, ended = api.client(), api.ended_job()
    others = {
        "404": lambda: client.post("/jobs/nope/priority", json={"priority": 9}),
        "409": lambda: client.post(f"/jobs/{ended}/priority", json={"priority": 9}),
    }
    return Asking(f"/jobs/{api.waiting_job()}/priority", body={"priority": 9}, others=others)


DOCUMENTED: Documented = {
    "GET /jobs": _list_jobs,
    "GET /jobs/<job_id>": _get_job,
    "POST /jobs/<job_id>/cancel": _cancel_job,
    "POST /jobs/<job_id>/priority": _change_priority,
}
