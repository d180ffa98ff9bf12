"""Triggers are paused, resumed and fired, and tell what happened to them."""

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from shared.jobs.triggers import Occurrence
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import BODY, MakeApp

SIGNALLED = {"name": "drifted", "template": BODY, "when": {"signal": {}}, "policy": {"cooldown": 3600}}
PRIVATE = "https://ghp_0123456789abcdef@github.com/user/iris.git"


@pytest.fixture(autouse=True)
def _trigger(client: FlaskClient) -> None:
    assert client.post("/triggers", json=SIGNALLED).status_code == 201


def events(client: FlaskClient, **query: Any) -> list[dict[str, Any]]:
    """Return the trigger's events."""
    found: list[dict[str, Any]] = (client.get("/triggers/drifted/events", query_string=query).json or {})["events"]
    return found


def test_a_paused_trigger_skips_what_happens_and_says_why(client: FlaskClient, store: MemoryStore) -> None:
    paused = client.post("/triggers/drifted/pause", json={"reason": "the data moves"}).json or {}
    assert (paused["state"], paused["paused_reason"], paused["next_at"]) == ("paused", "the data moves", [])
    store.report("drifted", Occurrence("a", datetime.now(UTC)))
    assert (client.post("/triggers/drifted/resume").json or {})["state"] == "active"
    store.report("drifted", Occurrence("b", datetime.now(UTC)))
    assert [each["outcome"] for each in events(client)] == ["waiting", "skipped"]


def test_all_are_paused_and_resumed_at_once(client: FlaskClient) -> None:
    pause = (client.post("/triggers/pause", json={"reason": "night"}).json or {})["pause"]
    assert pause["reason"] == "night"
    assert (client.get("/triggers").json or {})["pause"] == pause
    assert (client.get("/triggers/drifted").json or {})["pause"] == pause
    assert client.post("/triggers/resume").json == {"pause": None}


def test_firing_makes_a_job_that_says_why(client: FlaskClient, queue: RecordingQueue) -> None:
    client.post("/triggers/drifted/pause")
    answer = client.post("/triggers/drifted/fire", json={"reason": "a demo"})
    job = answer.json or {}
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/jobs/{job['id']}")
    assert job["trigger"] == "drifted"
    assert (job["triggered_by"]["kind"], job["triggered_by"]["facts"]) == ("fire", {"reason": "a demo"})
    assert queue.sent == [job["id"]]
    [event] = events(client)
    assert (event["outcome"], event["job_id"]) == ("fired", job["id"])


def test_the_same_key_fires_once_and_sends_once(client: FlaskClient, queue: RecordingQueue) -> None:
    fire = partial(client.post, "/triggers/drifted/fire", headers={"Idempotency-Key": "k"})
    first, again = fire(), fire(json={"reason": "again"})
    assert (first.json or {})["id"] == (again.json or {})["id"]
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert len(queue.sent) == 1


def test_a_key_of_a_person_is_none_of_a_sender(client: FlaskClient, store: MemoryStore) -> None:
    client.post("/triggers/drifted/fire", headers={"Idempotency-Key": "delivery 1"})
    store.report("drifted", Occurrence("delivery 1", datetime.now(UTC)))
    assert [each["outcome"] for each in events(client)] == ["waiting", "fired"]


def test_firing_gives_the_job_the_stored_credentials(client: FlaskClient, store: MemoryStore) -> None:
    client.put("/triggers/drifted", json={"template": {**BODY, "git_uri": PRIVATE}, "when": {"signal": {}}})
    job_id = (client.post("/triggers/drifted/fire").json or {})["id"]
    assert store.get(job_id).had_secret


def test_a_template_that_is_not_allowed_any_more_is_not_fired(make_app: MakeApp) -> None:
    answer = make_app(git_hosts="git.example.org").test_client().post("/triggers/drifted/fire")
    [error] = (answer.json or {})["errors"]
    assert (answer.status_code, error["pointer"]) == (422, "/template/git_uri")


def test_jobs_are_listed_by_their_trigger(client: FlaskClient) -> None:
    client.post("/retrain", json=BODY)
    fired = (client.post("/triggers/drifted/fire").json or {})["id"]
    of_trigger = (client.get("/jobs?trigger=drifted").json or {})["jobs"]
    assert [each["id"] for each in of_trigger] == [fired]
    assert (client.get("/jobs?trigger=other").json or {})["jobs"] == []
    assert [each["trigger"] for each in (client.get("/jobs").json or {})["jobs"]] == ["drifted", None]


def test_events_are_paged_and_answer_for_a_time(client: FlaskClient, store: MemoryStore) -> None:
    for number in range(3):
        store.report("drifted", Occurrence(f"{number}", datetime.now(UTC)))
    page = client.get("/triggers/drifted/events?limit=2").json or {}
    rest = client.get(page["next"]).json or {}
    assert ([each["key"] for each in page["events"] + rest["events"]], rest["next"]) == (["2", "1", "0"], None)
    assert events(client, until=rest["events"][0]["recorded_at"].replace("Z", "999Z"))[-1]["key"] == "0"
    assert events(client, until="2020-01-01T00:00:00Z") == []


def test_who_pauses_is_logged_with_the_reason(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.post("/triggers/drifted/pause", json={"reason": "the data moves"})
    assert [vars(each)["reason"] for each in caplog.records if "paused" in each.message] == ["the data moves"]


def _on_one(api: Api, action: str, method: str = "POST") -> Asking:
    client = api.client()
    client.post("/triggers", json=SIGNALLED)
    others = {"404": lambda: client.open(f"/triggers/gone/{action}", method=method)}
    return Asking(f"/triggers/drifted/{action}", others=others)


DOCUMENTED: Documented = {
    "POST /triggers/<name>/pause": partial(_on_one, action="pause"),
    "POST /triggers/<name>/resume": partial(_on_one, action="resume"),
    "POST /triggers/<name>/fire": partial(_on_one, action="fire"),
    "GET /triggers/<name>/events": partial(_on_one, action="events", method="GET"),
}
