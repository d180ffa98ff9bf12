"""The first page: what is going on, at a glance."""

from flask.testing import FlaskClient

from shared.access.roles import Role
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.test_workers import signed_in
from tests.unit.conftest import BODY, HOST, ClaimJob, MakeApp, Submit


def test_what_runs_waits_and_comes_is_there_and_leads_to_its_page(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    store.beat(HOST, gap_seconds=60)
    claim_job(submit()["id"])
    waits = submit(resources={"host": "gone"})["id"]
    client.post("/triggers", json={"name": "nightly", "template": BODY, "when": {"cron": "30 2 * * *"}})
    shown = client.get("/ui/").text
    assert "<b>1</b>" in shown
    assert f"/ui/jobs/{waits}" in shown
    assert "gone" in shown.split("Waiting")[1]
    assert 'href="/ui/workers/gpu-1"' in shown
    assert "At 02:30 every day (UTC)" in shown
    assert "Nothing waits for a person." in shown


def test_an_empty_service_says_so(client: FlaskClient) -> None:
    shown = client.get("/ui/").text
    for words in ("No job waits.", "no job can run", "No job has failed.", "No trigger fires at a time."):
        assert words in shown


def test_only_the_overview_is_the_current_page_there(client: FlaskClient) -> None:
    assert client.get("/ui/").text.count("aria-current") == client.get("/ui/jobs").text.count("aria-current") == 1


def test_who_sees_one_team_only_gets_no_counts_of_all(make_app: MakeApp, store: MemoryStore) -> None:
    shown = signed_in(make_app, store, Role.VIEWER, team="vision", teams_isolated=True).get("/ui/")
    assert (shown.status_code, "Jobs by state" in shown.text) == (200, False)
