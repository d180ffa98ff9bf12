"""Submitting a job with a form: a new one, or another one's request with changes."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import form_token, sign_in
from tests.unit.conftest import BODY, MakeApp, Submit

ONCE = re.compile(r'name="once" value="(\w+)"')


def send(client: FlaskClient, on: str = "/ui/new", **fields: Any) -> TestResponse:
    """Fill the form in, and press the button."""
    page = client.get(on)
    once = ONCE.search(page.text)
    assert once
    return client.post("/ui/new", data={"csrf": form_token(page), "once": once[1], **BODY, **fields})


def made(done: TestResponse, store: MemoryStore) -> dict[str, Any]:
    """Return the request of the job that the form made."""
    [job_id] = re.findall(r"/ui/jobs/([\w-]+)\?told=submitted", done.location or done.text)
    return dict(store.get(job_id).request)


def test_a_new_job_is_submitted_and_shown(client: FlaskClient, store: MemoryStore) -> None:
    parameters: Any = {"parameters-name": ["alpha", "note", ""], "parameters-value": ["0.5", '"10"', ""]}
    labels = {"labels-name": "team", "labels-value": "vision"}
    done = send(client, priority="7", rest='{"timeouts": {"run_seconds": 60}}', **parameters, **labels)
    assert done.status_code == 303
    assert made(done, store) == {
        **BODY,
        "priority": 7,
        "parameters": {"alpha": 0.5, "note": "10"},
        "labels": {"team": "vision"},
        "timeouts": {"run_seconds": 60.0},
    }


def test_the_list_of_jobs_leads_to_the_form(client: FlaskClient) -> None:
    assert 'href="/ui/new"' in client.get("/ui/jobs").text


def test_the_form_of_a_job_has_its_request(client: FlaskClient, submit: Submit) -> None:
    sent = {"model_name": "iris", "parameters": {"alpha": 0.5}, "resources": {"gpus": 2, "memory": "8g"}}
    page = client.get(f"/ui/jobs/{submit(**sent)['id']}/again").text
    assert 'name="model_name" type="text" value="iris"' in page
    assert 'name="gpus" type="number" value="2"' in page
    assert 'name="parameters-name" value="alpha"' in page
    assert "&#34;memory&#34;: &#34;8g&#34;" in page


def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_is_kept(client: FlaskClient) -> None:
    fields = {"commit_hash": "a..b", "priority": "12", "parameters-name": "-x", "parameters-value": "kept"}
    refused = send(client, **fields, rest='{"retry": {"max_attempts": 0}, "what": 1}')
    assert refused.status_code == 422
    for name in ("commit_hash", "priority", "parameters", "rest"):
        assert f'id="wrong-{name}"' in refused.text
        assert f'href="#f-{name}"' in refused.text
    assert 'value="a..b"' in refused.text
    assert ">kept</textarea>" in refused.text
    assert "&#34;what&#34;: 1" in refused.text


def test_json_that_cannot_be_read_is_kept_too(client: FlaskClient) -> None:
    refused = send(client, rest='{"retry": ')
    assert (refused.status_code, "Everything else is not JSON" in refused.text) == (422, True)
    assert "{&#34;retry&#34;:" in refused.text


def test_a_field_may_not_also_stand_in_the_json(client: FlaskClient) -> None:
    refused = send(client, rest='{"priority": 3}')
    assert (refused.status_code, "has priority: that is a field of its own" in refused.text) == (422, True)


def test_a_token_is_never_filled_in_and_the_form_says_that_there_was_one(client: FlaskClient, submit: Submit) -> None:
    job = submit(git_uri="https://ghp_s3cret@github.com/user/iris.git")["id"]
    page = client.get(f"/ui/jobs/{job}/again").text
    assert "s3cret" not in page
    assert "Credentials came with this job" in page
    refused = send(client, of=job, git_uri="https://ghp_s3cret@github.com/user/iris.git", priority="12")
    assert "s3cret" not in refused.text
    assert "is not shown again" in refused.text
    assert "Credentials came with this job" in refused.text


def test_the_form_has_room_for_more_rows_without_a_script(client: FlaskClient) -> None:
    more = send(client, more="yes", model_name="kept")
    assert (more.status_code, more.text.count('name="parameters-name"')) == (200, 10)
    assert 'value="kept"' in more.text


def test_a_button_that_is_pressed_twice_makes_one_job_and_changes_make_another(
    client: FlaskClient, store: MemoryStore
) -> None:
    page = client.get("/ui/new")
    once = ONCE.search(page.text)
    assert once
    form = {"csrf": form_token(page), "once": once[1], **BODY}
    first, second = client.post("/ui/new", data=form), client.post("/ui/new", data=form)
    other = client.post("/ui/new", data={**form, "priority": "5"})
    assert first.location == second.location != other.location


@pytest.mark.parametrize(
    ("settings", "fields", "said"),
    [
        ({"git_hosts": ("git.example.com",)}, {}, "GIT_HOSTS"),
        ({"queues": ("default",)}, {"queue": "other"}, "queue is not known here"),
    ],
)
def test_what_the_operator_does_not_allow_is_refused_here_too(
    make_app: MakeApp, settings: dict[str, Any], fields: dict[str, str], said: str
) -> None:
    refused = send(make_app(**settings).test_client(), **fields)
    assert (refused.status_code, said in refused.text) == (422, True)


def test_when_too_many_jobs_wait_the_form_says_so_and_keeps_what_was_typed(
    make_app: MakeApp, store: MemoryStore
) -> None:
    store.limits = Limits(waiting_per_caller=1)
    client = make_app(api_tokens=("an-operators-own-word",)).test_client()
    sign_in(client, "an-operators-own-word")
    assert send(client).status_code == 303
    refused = send(client, model_name="kept")
    assert (refused.status_code, 'value="kept"' in refused.text) == (429, True)
