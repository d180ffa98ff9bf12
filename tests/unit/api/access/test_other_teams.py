"""With TEAMS_ISOLATED, what another team owns is not there, in any route that names or lists it."""

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from tests.fakes.store import MemoryStore
from tests.unit.api.access.callers import sent_by
from tests.unit.conftest import BODY, MakeApp

TRIGGER = {"name": "nightly", "template": BODY, "when": {"cron": "30 2 * * *"}}


@pytest.fixture
def isolated(make_app: MakeApp) -> FlaskClient:
    return make_app(teams_isolated=True).test_client()


def test_what_another_team_owns_does_not_exist(isolated: FlaskClient, store: MemoryStore) -> None:
    theirs = sent_by(store, "ann", Role.OPERATOR, Role.SUBMITTER, team="vision")
    ours = sent_by(store, "bob", Role.OPERATOR, Role.SUBMITTER, team="speech")
    made = isolated.post("/retrain", json=BODY, headers=theirs)
    assert made.status_code == 202, made.text
    job = made.get_json()["id"]
    assert isolated.post("/triggers", json=TRIGGER, headers=theirs).status_code == 201
    for path in (
        f"/jobs/{job}",
        f"/jobs/{job}/logs",
        f"/jobs/{job[:8]}",
        "/triggers/nightly",
        "/triggers/nightly/events",
    ):
        assert (path, isolated.get(path, headers=theirs).status_code) == (path, 200)
        assert (path, isolated.get(path, headers=ours).status_code) == (path, 404)
    for path in (f"/jobs/{job}/cancel", f"/jobs/{job}/retry", "/triggers/nightly/pause"):
        assert (path, isolated.post(path, json={}, headers=ours).status_code) == (path, 404)
    for path in ("/jobs", "/triggers", "/workers"):
        assert job not in isolated.get(path, headers=ours).text
        assert "nightly" not in isolated.get(path, headers=ours).text
