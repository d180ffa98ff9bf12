"""Whatever is sent as a header, a cursor, a key or a place in a log is answered, and never with a 5xx."""

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from shared.access.roles import Role
from tests.unit.api.access.scene import Scene, Whose, make_scene
from tests.unit.conftest import BODY

ANY = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=300)
PLACES = st.from_regex(r"^(\d{0,7}:)?-?\d{0,20}$", fullmatch=True) | ANY
CURSORS = ANY | st.builds(
    lambda at, job_id: base64.urlsafe_b64encode(f"{at}|{job_id}".encode()).decode(),
    st.datetimes().map(lambda at: at.isoformat()) | st.text(max_size=40),
    st.uuids().map(str) | st.text(max_size=40),
)
NAMES: tuple[str, ...] = (
    "Accept",
    "Authorization",
    "Content-Type",
    "Forwarded",
    "If-Match",
    "If-None-Match",
    "Idempotency-Key",
    "Origin",
)
NAMES += ("Range", "Sec-Fetch-Site", "X-Forwarded-For", "X-Forwarded-Prefix", "X-Request-Id", "X-Hub-Signature-256")
often = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def scene() -> Scene:
    """With isolation, which adds looks to each request."""
    return make_scene(isolated=True)


@pytest.fixture(scope="module")
def ended(scene: Scene) -> str:
    return scene.ended_job(Role.SUBMITTER, Whose.OWN)


def ask(scene: Scene, method: str, path: str, headers: dict[str, str], **given: Any) -> TestResponse:
    client: FlaskClient = scene.client
    return client.open(path, method=method, headers={**scene.tokens[Role.SUBMITTER], **headers}, **given)


@often
@given(cursor=CURSORS)
def test_any_cursor(scene: Scene, cursor: str) -> None:
    assert ask(scene, "GET", "/jobs", {}, query_string={"cursor": cursor}).status_code in (200, 422)


@often
@given(place=PLACES)
def test_any_place_in_a_log(scene: Scene, ended: str, place: str) -> None:
    headers = {"Last-Event-ID": place, "Accept": "text/event-stream"}
    assert ask(scene, "GET", f"/jobs/{ended}/logs", headers).status_code in (200, 404, 422)


@often
@given(key=ANY)
def test_any_key_means_one_job_or_is_refused(scene: Scene, key: str) -> None:
    answers = [ask(scene, "POST", "/retrain", {"Idempotency-Key": key}, json=BODY) for _ in range(2)]
    assert {answer.status_code for answer in answers} in ({202}, {422})
    assert len({(answer.json or {}).get("id") for answer in answers}) == 1


@often
@given(name=st.sampled_from(NAMES), value=ANY, path=st.sampled_from(["/jobs", "/whoami", "/jobs/{}", "/hooks/github"]))
def test_any_header(scene: Scene, ended: str, name: str, value: str, path: str) -> None:
    method = "POST" if path.startswith("/hooks") else "GET"
    assert ask(scene, method, path.format(ended), {name: value}).status_code < 500
