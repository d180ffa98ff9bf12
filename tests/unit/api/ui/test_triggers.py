"""The pages of triggers: when, why and why not, and what may be done to them."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.services import EXTENSION
from api.triggers.folder import TriggerFolder
from shared.access.roles import Role
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import form_token, press
from tests.unit.api.ui.test_workers import signed_in
from tests.unit.conftest import BODY, MakeApp

NIGHTLY = {"name": "nightly", "template": {**BODY, "model_name": "m"}, "when": {"cron": "30 2 * * *"}}


def add(client: FlaskClient, **fields: Any) -> None:
    answer = client.post("/triggers", json={**NIGHTLY, **fields})
    assert answer.status_code == 201, answer.text


def test_the_list_says_when_each_fires_and_what_came_of_it_last(client: FlaskClient) -> None:
    add(client)
    add(client, name="pushed", when={"git": {"repository": "a/b/c"}})
    client.post("/triggers/nightly/fire", json={"reason": "new data"})
    client.post("/triggers/pushed/pause", json={"reason": "<moving>"})
    shown = client.get("/ui/triggers").text
    assert "At 02:30 every day (UTC)" in shown
    assert "a job was started" in shown
    assert "On a push to any branch of a/b/c" in shown
    assert '<span class="state queued">paused</span>' in shown
    assert "&lt;moving&gt;" in client.get("/ui/triggers/pushed").text


def test_a_pause_of_all_is_a_banner_until_they_are_resumed(client: FlaskClient) -> None:
    add(client)
    assert press(client, "/ui/triggers", "/ui/triggers/pause", reason="data moves").status_code == 303
    for page in ("/ui/triggers", "/ui/triggers/nightly"):
        assert "All triggers are paused" in client.get(page).text
    press(client, "/ui/triggers", "/ui/triggers/resume")
    assert "All triggers are paused" not in client.get("/ui/triggers").text


def test_firing_says_which_job_came_of_it_and_a_form_sent_twice_fires_once(
    client: FlaskClient,
) -> None:
    add(client)
    form = {"reason": "new data", "once": "1-0", "csrf": form_token(client.get("/ui/triggers/nightly"))}
    first, again = (client.post("/ui/triggers/nightly/fire", data=form) for _ in range(2))
    assert first.location == again.location
    [job] = (client.get("/jobs?trigger=nightly").json or {})["jobs"]
    assert f'<p class="told" role="status">It fired, and started job <a class="id" href="/ui/jobs/{job["id"]}"' in (
        client.get(first.location).text
    )
    assert "reason new data" in client.get("/ui/triggers/nightly").text


def test_it_is_paused_with_a_reason_and_resumed(client: FlaskClient) -> None:
    add(client)
    press(client, "/ui/triggers/nightly", "/ui/triggers/nightly/pause", reason="sensor <b>")
    assert "sensor &lt;b&gt;" in client.get("/ui/triggers/nightly").text
    press(client, "/ui/triggers/nightly", "/ui/triggers/nightly/resume")
    assert (client.get("/triggers/nightly").json or {})["state"] == "active"


def test_it_is_deleted_after_a_question(client: FlaskClient) -> None:
    add(client)
    asked = client.get("/ui/triggers/nightly/delete").text
    assert "Delete trigger nightly?" in asked
    assert press(client, "/ui/triggers/nightly/delete", "/ui/triggers/nightly/delete").status_code == 303
    assert client.get("/ui/triggers/nightly").status_code == 404


def test_events_are_paged(client: FlaskClient) -> None:
    add(client)
    for number in range(30):
        client.post("/triggers/nightly/fire", json={"reason": f"number {number}"})
    page = client.get("/ui/triggers/nightly").text
    assert "number 29" in page
    assert "number 4<" not in page
    older = page.split('rel="next" href="')[1].split("#")[0]
    assert "number 4<" in client.get(older).text
    assert client.get("/ui/triggers/nightly?before=x").status_code == 422


def test_its_definition_can_be_copied_as_it_is_sent(client: FlaskClient) -> None:
    add(client)
    page = client.get("/ui/triggers/nightly").text
    assert "<code>template.git_uri</code>" in page
    assert "cron: 30 2 * * *" in page


def test_who_may_not_operate_sees_all_and_changes_nothing(make_app: MakeApp, store: MemoryStore) -> None:
    owner = make_app(api_tokens=("an-administrator-s-word",)).test_client()
    owner.post("/triggers", json=NIGHTLY, headers={"Authorization": "Bearer an-administrator-s-word"})
    browser = signed_in(make_app, store, Role.VIEWER)
    for page in ("/ui/triggers", "/ui/triggers/nightly", "/ui/triggers/nightly/backtest"):
        shown = browser.get(page)
        assert shown.status_code == 200
        assert 'method="post"' not in shown.text.split("<main")[1]
        assert "/change" not in shown.text


def form(client: FlaskClient, page: str, act: str, definition: str, **fields: str) -> Any:
    return press(client, page, page, act=act, definition=definition, **fields)


DEFINITION = """
name: nightly
template: {experiment_name: iris, git_uri: "https://github.com/user/iris.git"}
when: {cron: "0 3 * * *"}
"""


def test_a_definition_is_checked_in_words_and_then_saved(client: FlaskClient) -> None:
    checked = form(client, "/ui/triggers/-/new", "check", DEFINITION)
    assert checked.status_code == 200
    assert "Saving makes a new trigger." in checked.text
    assert "At 03:00 every day (UTC)" in checked.text
    assert checked.text.split("It comes next at:")[1].count("<time") == 5
    assert client.get("/triggers/nightly").status_code == 404
    saved = form(client, "/ui/triggers/-/new", "save", DEFINITION)
    assert (saved.status_code, saved.location) == (303, "/ui/triggers/nightly?told=trigger-saved")
    assert client.get("/triggers/nightly").status_code == 200


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("name: [", "not YAML"),
        ("name: x\nwhen: {cron: nonsense}\ntemplate: {}", "is not a cron expression"),
        (DEFINITION + "policy: {cooldon: 5}", "cooldon"),
        ("<script>alert(1)</script>", "JSON object"),
    ],
)
def test_what_is_wrong_is_said_beside_what_was_typed(client: FlaskClient, definition: str, says: str) -> None:
    for act in ("check", "save", "backtest"):
        answer = form(client, "/ui/triggers/-/new", act, definition)
        assert answer.status_code in (400, 422)
        assert says in answer.text
        assert definition.strip().splitlines()[0].replace("<", "&lt;").replace(">", "&gt;") in answer.text
        assert "<script>alert" not in answer.text


def test_a_name_that_is_taken_is_said(client: FlaskClient) -> None:
    add(client)
    assert form(client, "/ui/triggers/-/new", "save", DEFINITION).status_code == 409


def test_a_change_of_a_version_that_is_gone_is_not_saved_and_kept(client: FlaskClient) -> None:
    add(client)
    began = client.get("/ui/triggers/nightly/change")
    assert 'name="version" value="1"' in began.text
    client.put("/triggers/nightly", json={"template": BODY, "when": {"every": 60}})
    late = form(client, "/ui/triggers/nightly/change", "save", DEFINITION, version="1")
    assert late.status_code == 409
    assert "Somebody else changed this trigger" in late.text
    assert "0 3 * * *" in late.text
    assert (client.get("/triggers/nightly").json or {})["when"] == {"every": 60}
    assert form(client, "/ui/triggers/nightly/change", "save", DEFINITION, version="2").status_code == 303
    assert (client.get("/triggers/nightly").json or {})["when"] == {"cron": "0 3 * * *"}


def test_a_check_of_a_change_tells_its_differences(client: FlaskClient) -> None:
    add(client)
    checked = form(client, "/ui/triggers/nightly/change", "check", DEFINITION, version="1").text
    assert "Saving changes the trigger." in checked
    assert "<code>/when/cron</code></th><td>30 2 * * *</td><td>0 3 * * *</td>" in checked


def test_another_name_makes_no_change_of_this_one(client: FlaskClient) -> None:
    add(client)
    other = form(client, "/ui/triggers/nightly/change", "save", DEFINITION.replace("nightly", "weekly"), version="1")
    assert other.status_code == 422
    assert "name cannot be changed" in other.text


def test_the_secret_of_senders_is_shown_once(client: FlaskClient) -> None:
    definition = DEFINITION.replace('cron: "0 3 * * *"', "signal: {}")
    saved = form(client, "/ui/triggers/-/new", "save", definition)
    assert saved.status_code == 200
    secret = saved.text.split('<pre tabindex="0">')[1].split("<")[0]
    assert len(secret) > 30
    assert secret not in client.get("/ui/triggers/nightly").text


def test_a_trigger_of_a_file_says_so_and_is_not_edited(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "nightly.yaml").write_text(DEFINITION)
    app = make_app(triggers_dir=tmp_path)
    TriggerFolder(tmp_path, app.extensions[EXTENSION]).look()
    client = app.test_client()
    shown = client.get("/ui/triggers/nightly").text
    assert "only that file changes it" in shown
    assert "/change" not in shown
    assert "/delete" not in shown
    assert "<textarea" not in client.get("/ui/triggers/nightly/change").text


def test_a_backtest_is_a_picture_with_a_lane_for_each_policy(client: FlaskClient) -> None:
    add(client, policy={"window": {"days": ["mon"]}})
    shown = client.get("/ui/triggers/nightly/backtest?days=7&policies=often: {}%0Aonce: {cooldown: 604800}").text
    assert shown.count('<div class="lane">') == 3
    assert '<path class="mark fired" d="M' in shown
    assert "outside its window" in shown
    assert "<b>often</b> 7 jobs; 0 skipped; 0 waited" in shown


def test_what_is_typed_is_tried_on_the_past_beside_what_there_is(client: FlaskClient) -> None:
    add(client, policy={"max_per_day": 1})
    tried = form(client, "/ui/triggers/nightly/change", "backtest", DEFINITION, version="1", days="7").text
    assert "<b>as typed</b> 7 jobs" in tried
    assert "<b>as-it-is</b> 7 jobs" in tried


@pytest.mark.parametrize("query", ["days=x", "days=5000", "policies=a: [", "policies=a: {cooldown: x}", "days=²"])
def test_a_backtest_of_nonsense_is_refused(client: FlaskClient, query: str) -> None:
    add(client)
    assert client.get(f"/ui/triggers/nightly/backtest?{query}").status_code == 422


def test_a_backtest_of_very_many_marks_stays_small(client: FlaskClient) -> None:
    add(client, when={"every": 600})
    page = client.get("/ui/triggers/nightly/backtest?days=30")
    assert page.status_code == 200
    assert len(page.data) < 150_000
