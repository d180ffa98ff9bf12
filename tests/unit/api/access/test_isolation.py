"""What a caller of a team sees of others' jobs, triggers and models, and whose what it makes is."""

from typing import Any

import pytest

from shared.access.roles import Role
from shared.scheduling.limits import Limits
from tests.support.jobs import new_job
from tests.unit.api.access.scene import NIGHTLY, Whose, make_scene
from tests.unit.conftest import BODY, HOST


@pytest.mark.parametrize("isolated", [False, True])
def test_lists_have_what_the_caller_may_see(isolated: bool) -> None:
    scene = make_scene(isolated=isolated)
    ours, theirs = scene.job(Role.OPERATOR, Whose.TEAMS), scene.job(Role.OPERATOR, Whose.OTHERS)
    for job_id in (ours, theirs):
        assert scene.store.claim(job_id, host=HOST, lease_seconds=60)
    waiting = scene.store.submit(new_job(team="vision", concurrency_key="k")).job.id
    blocked = scene.store.submit(new_job(team="speech", concurrency_key="k")).job.id
    ours_fires, theirs_fires = scene.trigger(None, Whose.TEAMS), scene.trigger(None, Whose.OTHERS)

    def get(path: str, role: Role = Role.OPERATOR) -> Any:
        return scene.client.get(path, headers=scene.tokens[role]).json

    everything = {ours, theirs, waiting, blocked}
    seen = {ours, waiting} if isolated else everything
    assert {job["id"] for job in get("/jobs")["jobs"]} == seen
    assert {job["id"] for job in get("/jobs", Role.ADMIN)["jobs"]} == everything
    assert {job["id"] for job in get("/jobs?team=vision")["jobs"]} == {ours, waiting}
    assert {job["id"] for job in get("/jobs?team=speech")["jobs"]} == (set() if isolated else {theirs, blocked})
    assert set(get("/workers")["workers"][0]["jobs"]) == ({ours} if isolated else {ours, theirs})
    assert get("/workers")["workers"][0]["used_slots"] == 2
    assert {each["name"] for each in get("/triggers")["triggers"]} == {
        ours_fires,
        *([] if isolated else [theirs_fires]),
    }
    assert scene.client.get(f"/jobs/{theirs[:8]}", headers=scene.tokens[Role.OPERATOR]).status_code == (
        404 if isolated else 200
    )
    assert scene.client.get(f"/jobs/{ours[:8]}", headers=scene.tokens[Role.OPERATOR]).status_code == 200


def test_a_job_that_waits_for_another_teams_is_not_told_which() -> None:
    scene = make_scene(isolated=True)
    scene.store.limits = Limits(per_key=1)
    first = scene.store.submit(new_job(team="speech", concurrency_key="k")).job.id
    waits = scene.store.submit(new_job(team="vision", concurrency_key="k")).job.id
    queue = (scene.client.get(f"/jobs/{waits}", headers=scene.tokens[Role.VIEWER]).json or {})["queue"]
    assert (queue["code"], queue["blocking"]) == ("KEY_LIMIT", [])
    assert "a job of another team of the same concurrency_key" in queue["message"]
    assert first[:8] not in str(queue)
    assert first[:8] in scene.client.get(f"/jobs/{waits}", headers=scene.tokens[Role.ADMIN]).text


def test_me_stands_for_the_caller() -> None:
    scene = make_scene(isolated=False)
    mine = scene.job(Role.SUBMITTER, Whose.OWN)
    scene.job(Role.SUBMITTER, Whose.TEAMS)
    for asked in ("me", f"me-{Role.SUBMITTER}"):
        found = (scene.client.get(f"/jobs?submitted_by={asked}", headers=scene.tokens[Role.SUBMITTER]).json or {})[
            "jobs"
        ]
        assert [job["id"] for job in found] == [mine]
        assert (found[0]["submitted_by"], found[0]["team"]) == ("me-submitter", "vision")


def test_models_of_other_teams_are_neither_named_nor_started_from() -> None:
    scene = make_scene(isolated=True)
    theirs = scene.model(None, Whose.OTHERS)
    headers = scene.tokens[Role.OPERATOR]
    when_theirs = {**NIGHTLY, "name": "after", "when": {"job": {"model": theirs}}}
    for path, body in (
        ("/retrain", {**BODY, "model_name": theirs}),
        ("/retrain", {**BODY, "base_model": f"models:/{theirs}@champion"}),
        ("/triggers", when_theirs),
        ("/triggers", {**NIGHTLY, "name": "own", "template": {**BODY, "model_name": theirs}}),
    ):
        answer = scene.client.post(path, json=body, headers=headers)
        assert (answer.status_code, (answer.json or {})["code"]) == (403, "MODEL_OF_ANOTHER_TEAM"), answer.text
        assert "speech" not in answer.text
        assert scene.client.post(path, json=body, headers=scene.tokens[Role.ADMIN]).status_code < 300


def test_who_repeats_a_job_owns_the_new_one_and_what_a_trigger_starts_is_its_makers() -> None:
    scene = make_scene(isolated=False)
    of_ben = scene.ended_job(None, Whose.OTHERS)
    again = scene.client.post(f"/jobs/{of_ben}/retry", json={}, headers=scene.tokens[Role.OPERATOR]).json or {}
    assert (again["submitted_by"], again["team"]) == ("me-operator", "vision")
    bens = scene.trigger(None, Whose.OTHERS)
    fired = scene.client.post(f"/triggers/{bens}/fire", json={}, headers=scene.tokens[Role.OPERATOR]).json or {}
    assert (fired["submitted_by"], fired["team"]) == ("ben", "speech")


def test_a_changed_trigger_stays_its_makers_with_the_roles_of_who_wrote_it_last() -> None:
    scene = make_scene(isolated=False)
    name = scene.trigger(None, Whose.TEAMS)
    other = {**NIGHTLY, "policy": {"cooldown": 60}}
    assert scene.client.put(f"/triggers/{name}", json=other, headers=scene.tokens[Role.OPERATOR]).status_code == 200
    kept = scene.store.get_trigger(name)
    assert (kept.submitted_by, kept.team, kept.roles) == ("ann", "vision", ("operator",))


def test_first_characters_that_another_teams_job_has_too_are_enough() -> None:
    scene = make_scene(isolated=True)
    for end, team in enumerate(("vision", "speech")):
        scene.store.submit(new_job(id=f"5c2f7c1e-3a4b-4b2e-9a6d-00000000000{end}", team=team))
    answer = scene.client.get("/jobs/5c2f7c1e", headers=scene.tokens[Role.VIEWER])
    assert (answer.status_code, (answer.json or {})["team"]) == (200, "vision")


def test_what_runs_with_the_rights_of_all_teams_is_not_rewritten_by_one_of_them() -> None:
    scene = make_scene(isolated=False)
    operator, admin = scene.tokens[Role.OPERATOR], {"Authorization": "Bearer operators"}
    scene.client.post("/triggers", json={**NIGHTLY, "name": "of-all"}, headers=admin)
    answer = scene.client.put("/triggers/of-all", json=NIGHTLY, headers=operator)
    assert (answer.status_code, (answer.json or {})["code"]) == (403, "FORBIDDEN")
    assert "rights of all teams" in (answer.json or {})["detail"]
    assert scene.client.put("/triggers/of-all", json=NIGHTLY, headers=admin).status_code == 200
