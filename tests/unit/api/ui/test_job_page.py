"""The page of one job: what it says in each state, and what it lets whom do."""

import re

import pytest
from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending, Resolution
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import BODY, ClaimJob, MakeApp, Submit

SHA = "1f0c7a3e5b9d2c4f6a8e0b1d3f5a7c9e2b4d6f80"
HOSTILE = '<script>alert("1")</script>'
OOM = Reason(Code.OOM_KILLED, FailureType.USER_ERROR, f"It used more than 8 GiB. {HOSTILE}")
GIT_URI_WITH_TOKEN = "https://ghp_s3cret@github.com/user/iris.git"


def begin(store: MemoryStore, claim_job: ClaimJob, job_id: str) -> None:
    """Let the job run."""
    claim = claim_job(job_id)
    store.resolve(claim, Resolution(SHA, "python:3.11", "sha256:1", "3", "run1"))
    store.started(claim, runner="docker", container="abc")


@pytest.fixture
def failed(store: MemoryStore, submit: Submit, claim_job: ClaimJob) -> str:
    """A job whose training used too much memory."""
    job_id: str = submit(model_name="iris", retry={"max_attempts": 1}, labels={"why": HOSTILE})["id"]
    claim = claim_job(job_id)
    store.resolve(claim, Resolution(SHA, "python:3.11", "sha256:1", "3", "run1"))
    store.finish(claim, Ending(JobState.FAILED, reason=OOM, exit_code=137, oom_killed=True))
    return job_id


def page_of(client: FlaskClient, job_id: str) -> str:
    """Return what a person reads, without the markup around it."""
    text = client.get(f"/ui/jobs/{job_id}").text
    text = re.sub(r"</?(bdi|a|code|strong|span|time)\b[^>]*>", "", text)
    return " ".join(re.sub(r"<(?!/?script)[^>]*>", " ", text).split())


def test_a_failed_job_says_what_its_code_means_and_what_to_do(client: FlaskClient, failed: str) -> None:
    shown = page_of(client, failed)
    assert "OOM_KILLED: The training used more memory than its limit" in shown
    assert "Send the request with more resources.memory" in shown
    assert "137, out of memory" in shown


def test_what_others_wrote_is_shown_as_text(client: FlaskClient, failed: str) -> None:
    text = client.get(f"/ui/jobs/{failed}").text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


def test_a_waiting_job_says_what_for_and_what_would_start_it_sooner(client: FlaskClient, submit: Submit) -> None:
    shown = page_of(client, submit()["id"])
    assert "No live worker serves the queue" in shown
    assert "(NO_WORKER)" in shown
    assert "Start a worker that serves this queue. Or submit it again with a queue that a worker serves" in shown


def test_links_lead_to_the_commit_and_to_jobs_with_the_same_label(client: FlaskClient, failed: str) -> None:
    text = client.get(f"/ui/jobs/{failed}").text
    assert f'href="https://github.com/user/iris/commit/{SHA}"' in text
    assert 'href="/ui/jobs?label=why%3D' in text


def test_buttons_are_those_that_the_state_allows(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob, failed: str
) -> None:
    running = submit()["id"]
    begin(store, claim_job, running)
    waiting = submit()["id"]
    assert [_buttons(client, each) for each in (waiting, running, failed)] == [
        {"cancel", "again"},
        {"cancel", "kill", "again"},
        {"retry", "again"},
    ]


def _buttons(client: FlaskClient, job_id: str) -> set[str]:
    return set(
        re.findall(
            rf'(?:action|href)="/ui/jobs/{job_id}/(cancel|kill|retry|again)"', client.get(f"/ui/jobs/{job_id}").text
        )
    )


@pytest.mark.parametrize(
    ("role", "own", "others"),
    [
        (Role.VIEWER, set(), set()),
        (Role.SUBMITTER, {"cancel", "again"}, {"again"}),
        (Role.OPERATOR, {"cancel", "again"}, {"cancel", "again"}),
    ],
)
def test_a_role_is_shown_only_what_it_may_do(
    make_app: MakeApp, store: MemoryStore, role: Role, own: set[str], others: set[str]
) -> None:
    app, token = make_app(api_tokens=("an-operators-own-word",)), new_token()
    facts = {"roles": frozenset({role}), "hint": "art_", "created_by": "env-1"}
    store.create_token(NewToken(name="ann", hash=hash_of(token), **facts))  # type: ignore[arg-type]
    bearer = {"Authorization": f"Bearer {token}"}
    mine = (app.test_client().post("/retrain", json=BODY, headers=bearer).json or {}).get("id")
    other = app.test_client().post("/retrain", json=BODY, headers={"Authorization": "Bearer an-operators-own-word"})
    browser = app.test_client()
    sign_in(browser, token)
    assert _buttons(browser, (other.json or {})["id"]) == others
    if mine:
        assert _buttons(browser, mine) == own


def test_cancelling_comes_back_to_the_job_and_says_so(client: FlaskClient, store: MemoryStore, submit: Submit) -> None:
    job = submit()["id"]
    done = press(client, f"/ui/jobs/{job}", f"/ui/jobs/{job}/cancel")
    assert (done.status_code, done.location) == (303, f"/ui/jobs/{job}?told=cancelled")
    assert store.get(job).state is JobState.CANCELLED


def test_a_waiting_job_gets_another_priority_and_a_wrong_one_is_refused(
    client: FlaskClient, store: MemoryStore, submit: Submit, failed: str
) -> None:
    job = submit()["id"]
    done = press(client, f"/ui/jobs/{job}", f"/ui/jobs/{job}/priority", priority="7")
    assert (done.location, store.get(job).priority) == (f"/ui/jobs/{job}?told=priority-changed", 7)
    assert "<option selected>7</option>" in client.get(f"/ui/jobs/{job}").text
    assert press(client, f"/ui/jobs/{job}", f"/ui/jobs/{job}/priority", priority="ten").status_code == 422
    assert 'name="priority"' not in client.get(f"/ui/jobs/{failed}").text


def test_killing_is_asked_for_on_a_page_of_its_own(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    job = submit()["id"]
    begin(store, claim_job, job)
    press(client, f"/ui/jobs/{job}/kill", f"/ui/jobs/{job}/cancel", force="yes")
    assert (store.get(job).state, store.get(job).cancel_forced) == (JobState.CANCELLING, True)


@pytest.mark.parametrize(("pin", "sha"), [("yes", SHA), ("no", None)])
def test_a_retry_trains_the_same_commit_or_looks_it_up_again(
    client: FlaskClient, store: MemoryStore, failed: str, pin: str, sha: str | None
) -> None:
    done = press(client, f"/ui/jobs/{failed}/retry", f"/ui/jobs/{failed}/retry", pin=pin)
    [new] = re.findall(r"/ui/jobs/([\w-]+)\?told=submitted", done.location or "")
    assert (store.get(new).retry_of, store.get(new).commit_sha) == (failed, sha)
    assert f'href="/ui/jobs/{failed}"' in client.get(f"/ui/jobs/{new}").text


def test_a_job_that_came_with_a_token_is_retried_with_the_token_typed_again(
    client: FlaskClient, store: MemoryStore, submit: Submit
) -> None:
    job = submit(git_uri=GIT_URI_WITH_TOKEN)["id"]
    store.cancel(job, force=False)
    assert "s3cret" not in client.get(f"/ui/jobs/{job}").text
    assert "deleted when it ended" in client.get(f"/ui/jobs/{job}/retry").text
    refused = press(client, f"/ui/jobs/{job}/retry", f"/ui/jobs/{job}/retry", pin="no")
    assert (refused.status_code, 'role="alert"' in refused.text) == (422, True)
    assert 'value="no" checked' in refused.text
    done = press(client, f"/ui/jobs/{job}/retry", f"/ui/jobs/{job}/retry", git_uri=GIT_URI_WITH_TOKEN)
    assert done.status_code == 303


def test_the_decision_is_told_with_the_way_to_answer_it(
    client: FlaskClient, store: MemoryStore, submit: Submit, claim_job: ClaimJob
) -> None:
    job = submit(model_name="iris")["id"]
    decision = {"id": "p-1", "state": "awaiting_approval", "model_version": "7", "reason": "waits for approval: 0.95"}
    refused = [{"call": "POST /alias", "object": "iris", "count": 2}]
    result = {"model_versions": [{"name": "iris", "version": 7}], "decision": decision, "refused": refused}
    store.finish(claim_job(job), Ending(JobState.SUCCEEDED, exit_code=0, result=result))
    shown = page_of(client, job)
    assert "Version 7 is better, and becomes champion once a person approves it." in shown
    assert "Approve or reject it" in shown
    assert "POST /alias on iris, 2 times" in shown
    assert 'href="/ui/promotions/p-1"' in client.get(f"/ui/jobs/{job}").text
