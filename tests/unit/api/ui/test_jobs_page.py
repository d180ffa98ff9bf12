"""The list of jobs: its filters, what it shows of each, and what is done to several at once."""

import re

import pytest
from flask.testing import FlaskClient

from api.ui.pages.jobs import MOST_SELECTED
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending, Resolution
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import BODY, HOST, ClaimJob, MakeApp, Submit

SHA = "1f0c7a3b" * 5
HOSTILE = "<script>alert(1)</script> \u202etxt.exe"
SELECTED = "/ui/jobs/selected"
ROW = re.compile(r'<tr id="j(\w+)">')


def shown(client: FlaskClient, query: str = "") -> list[str]:
    """The first characters of the jobs on the page."""
    answer = client.get(f"/ui/jobs?{query}")
    assert answer.status_code == 200, answer.text
    return ROW.findall(answer.text)


def test_filters_are_the_address_and_empty_fields_say_nothing(client: FlaskClient, submit: Submit) -> None:
    wine = submit(experiment_name="wine", labels={"team": "vision"})["id"][:8]
    iris = submit(experiment_name="iris")["id"][:8]
    assert shown(client) == [iris, wine]
    assert shown(client, "q=&model=&experiment=wine&created_after=") == [wine]
    assert shown(client, "state=queued&state=failed&q=team%3Dvision") == [wine]
    assert shown(client, f"state=queued&q={iris}") == [iris]
    assert shown(client, "created_after=2001-01-31T12:00&submitted_by=me") == [iris, wine]
    assert shown(client, "created_after=2100-01-31T12:00") == []
    page = client.get("/ui/jobs?experiment=wine&state=queued&told=signed-out").text
    assert 'name="experiment" value="wine"' in page
    assert 'value="queued" checked' in page
    assert '<details id="more" open>' in page


def test_older_jobs_are_a_page_away_with_the_same_filters(client: FlaskClient, submit: Submit) -> None:
    old, new = (submit(experiment_name="wine")["id"][:8] for _ in range(2))
    first = client.get("/ui/jobs?experiment=wine&limit=1").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = client.get(following[1].replace("&amp;", "&")).text
    assert (ROW.findall(first), ROW.findall(second)) == ([new], [old])
    assert 'href="?experiment=wine">Newest' in second


def test_a_job_shows_why_it_failed_which_model_it_made_and_its_commit_on_the_git_host(
    client: FlaskClient, submit: Submit, claim_job: ClaimJob, store: MemoryStore
) -> None:
    failed = claim_job(submit()["id"])
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "exit code 1: " + "long " * 100)
    store.finish(failed, Ending(JobState.FAILED, reason, exit_code=1))
    done = claim_job(submit(model_name="iris")["id"])
    store.resolve(done, Resolution(commit_sha=SHA))
    made = {"model_versions": [{"name": "iris", "version": 7}], "decision": {"promoted": True}}
    store.finish(done, Ending(JobState.SUCCEEDED, exit_code=0, result=made))
    page = client.get("/ui/jobs").text
    assert "exit code 1: long" in page
    assert "long " * 50 not in page
    assert ">iris</a> → 7" in page
    assert "promoted</span>" in page
    assert f'href="https://github.com/user/iris/commit/{SHA}"' in page
    assert f"?host={HOST.name}" in page


def test_hostile_names_are_text(client: FlaskClient, submit: Submit) -> None:
    submit(experiment_name=HOSTILE, model_name="<b>m", labels={"a": HOSTILE}, commit_hash="x<i>")
    for query in ("", f"?q={HOSTILE}", f"?experiment={HOSTILE}", '?label="><script>'):
        page = client.get(f"/ui/jobs{query}").text
        assert "<script>alert" not in page
        assert '"><script>' not in page
        assert "<b>m" not in page


def test_an_empty_list_says_what_to_do(client: FlaskClient, submit: Submit) -> None:
    assert "curl http://localhost/retrain" in client.get("/ui/jobs").text
    submit()
    assert "No job matches" in client.get("/ui/jobs?model=none").text
    assert client.get("/ui/jobs?model=none&unknown=1").status_code == 422


def test_several_jobs_are_cancelled_and_each_refusal_is_told(client: FlaskClient, submit: Submit) -> None:
    one, other, ended = (submit()["id"] for _ in range(3))
    client.post(f"/jobs/{ended}/cancel")
    fields = {"act": "cancel", "job": [one, other, ended, "nope"], "back": "state=queued"}
    answer = press(client, "/ui/jobs", SELECTED, **fields)
    assert "Cancel: 2 of 4 done" in answer.text
    assert f"Job {ended} has ended as cancelled" in answer.text
    assert "There is no job &#39;nope&#39;" in answer.text
    assert 'href="/ui/jobs?state=queued">Back' in answer.text
    assert [(client.get(f"/jobs/{each}").json or {})["state"] for each in (one, other)] == ["cancelled"] * 2


def test_several_jobs_are_repeated_and_lead_to_the_new_ones(client: FlaskClient, submit: Submit) -> None:
    ended, queued = submit()["id"], submit()["id"]
    client.post(f"/jobs/{ended}/cancel")
    answer = press(client, "/ui/jobs", SELECTED, act="retry", job=[ended, queued])
    assert "Repeat: 1 of 2 done" in answer.text
    assert "Wait for its end or cancel it" in answer.text
    [again] = [each for each in (client.get("/jobs").json or {})["jobs"] if each["retry_of"]]
    assert (again["retry_of"], f"/ui/jobs/{again['id']}" in answer.text) == (ended, True)


def test_the_priority_of_several_jobs_is_changed(client: FlaskClient, submit: Submit) -> None:
    ids = [submit()["id"] for _ in range(2)]
    assert "2 of 2 done" in press(client, "/ui/jobs", SELECTED, act="priority", priority="9", job=ids).text
    assert {(client.get(f"/jobs/{each}").json or {})["priority"] for each in ids} == {9}
    for wrong in ("", "10", "-1", "x", "٣"):
        answer = press(client, "/ui/jobs", SELECTED, act="priority", priority=wrong, job=ids)
        assert "0 of 2 done" in answer.text


def test_what_is_sent_with_nothing_selected_or_too_much_does_nothing(client: FlaskClient, submit: Submit) -> None:
    job = submit()["id"]
    assert "No job was selected" in press(client, "/ui/jobs", SELECTED, act="cancel").text
    many = [job, *(f"none-{number}" for number in range(MOST_SELECTED))]
    refused = press(client, "/ui/jobs", SELECTED, act="cancel", job=many)
    assert (refused.status_code, "at most 200 jobs" in refused.text) == (422, True)
    assert press(client, "/ui/jobs", SELECTED, act="destroy", job=[job]).status_code == 422
    assert (client.get(f"/jobs/{job}").json or {})["state"] == "queued"


def test_another_s_job_has_no_box_and_is_refused_and_the_audit_says_so(make_app: MakeApp, store: MemoryStore) -> None:
    client, token = make_app(api_tokens=("an-operator-s-word",)).test_client(), new_token()
    headers = {"Authorization": "Bearer an-operator-s-word"}
    job = (client.post("/retrain", json=BODY, headers=headers).json or {})["id"]
    facts = {"roles": frozenset({Role.SUBMITTER}), "created_by": "env-1"}
    store.create_token(NewToken(name="ann", hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
    sign_in(client, token)
    assert 'name="job"' not in client.get("/ui/jobs").text
    answer = press(client, "/ui/jobs", SELECTED, act="cancel", job=[job])
    assert "is not ann&#39;s own" in answer.text
    answer.close()  # the audit is written after the answer
    told = [(each.caller, each.action, each.subject, each.outcome, each.reason) for each in store._audit]
    assert ("ann", "cancelJob", f"job:{job}", "refused", "FORBIDDEN") in told


def test_a_viewer_is_shown_nothing_to_select(make_app: MakeApp, store: MemoryStore, submit: Submit) -> None:
    submit()
    client, token = make_app(api_tokens=("an-operator-s-word",)).test_client(), new_token()
    facts = {"roles": frozenset({Role.VIEWER}), "created_by": "env-1"}
    store.create_token(NewToken(name="ann", hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
    sign_in(client, token)
    page = client.get("/ui/jobs").text
    assert ROW.search(page)
    assert "With the selected" not in page


@pytest.mark.parametrize("back", ["//evil.example", '"><script>', "javascript:alert(1)"])
def test_the_way_back_is_to_this_list(client: FlaskClient, back: str) -> None:
    page = press(client, "/ui/jobs", SELECTED, act="cancel", back=back).text
    assert 'href="/ui/jobs?' in page
    assert '"><script>' not in page
