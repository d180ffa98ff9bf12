"""What a browser makes of the answers, when somebody leads it there: nothing in them runs."""

import pytest
from flask.testing import FlaskClient

from api.openapi.pages import CONTENT_SECURITY_POLICY
from tests.fakes.store import MemoryStore
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

SCRIPT = "<script>alert(1)</script>"
INERT = ("application/json", "application/problem+json", "text/plain", "text/event-stream", "text/javascript")


@pytest.fixture
def job_id(submit: Submit, claim_job: ClaimJob, store: MemoryStore) -> str:
    """A job with a script in each field that takes one, and in its log."""
    found: str = submit(parameters={"a": SCRIPT})["id"]
    claimed = claim_job(found)
    store.append_log(claimed, f"{SCRIPT}\n".encode(), source_offset=0)
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/jobs",
        "/jobs/{id}",
        "/jobs/{id}/logs",
        "/triggers",
        "/workers",
        "/metrics",
        "/version",
        "/openapi.json",
        "/docs/start.js",
        "/nothing/<script>alert(1)</script>",
        "/jobs/<script>alert(1)</script>",
        "/jobs?state=<script>alert(1)</script>",
        "/models/<script>alert(1)</script>",
        "/triggers/<script>alert(1)</script>",
        "/docs/swagger/<script>alert(1)</script>",
        "/docs/",
    ],
)
def test_no_answer_is_taken_for_a_page(client: FlaskClient, job_id: str, path: str) -> None:
    answer = client.get(path.format(id=job_id), headers={"Accept": "text/html"})
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.mimetype in INERT or SCRIPT not in answer.text


def test_a_job_is_shown_with_what_was_sent_and_as_nothing_else(client: FlaskClient, job_id: str) -> None:
    record, log = client.get(f"/jobs/{job_id}"), client.get(f"/jobs/{job_id}/logs")
    assert (record.mimetype, log.mimetype) == ("application/json", "text/plain")
    assert SCRIPT in record.text
    assert SCRIPT in log.text


def test_what_was_refused_is_repeated_as_nothing_else(client: FlaskClient) -> None:
    answer = client.post("/retrain", json={**BODY, SCRIPT: 1, "priority": SCRIPT})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")


def test_the_only_page_runs_no_script_of_others(make_app: MakeApp) -> None:
    answer = make_app().test_client().get("/docs")
    rules = dict(each.strip().partition(" ")[::2] for each in answer.headers["Content-Security-Policy"].split(";"))
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert (rules["default-src"], rules["script-src"], rules["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert "<script>" not in answer.text
