"""GET /ui/live: who may listen to what, and for how long."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from api.access import known_tokens
from api.live import tabs
from api.live.tabs import BEGIN
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.store import MemoryStore
from tests.support.jobs import submit
from tests.unit.api.ui.browser import press, sign_in
from tests.unit.conftest import MakeApp

Enter = Callable[..., FlaskClient]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(known_tokens, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(known_tokens, "KEPT_SECONDS", 0.0)


@pytest.fixture
def enter(make_app: MakeApp, store: MemoryStore) -> Enter:
    """A browser of somebody with a token of the record, called ann, of a team."""

    def make(team: str | None = None, **settings: object) -> FlaskClient:
        browser, token = make_app(api_tokens=("of-the-operator",), **settings).test_client(), new_token()
        new = NewToken(name="ann", hash=hash_of(token), hint="art_", roles=frozenset({Role.VIEWER}), created_by="env-1")
        store.create_token(replace(new, team=team))
        sign_in(browser, token)
        return browser

    return make


def listen(browser: FlaskClient, *topics: str) -> TestResponse:
    return browser.get("/ui/live", query_string={"of": topics}, buffered=False)


def begun(answer: Response) -> Iterator[bytes]:
    """What is sent once the first look was taken."""
    told = answer.iter_encoded()
    assert next(each for each in told if each) == BEGIN
    assert next(told) == b""
    return told


def events(answer: Response) -> Iterator[bytes]:
    return (each for each in answer.iter_encoded() if each)


def test_it_is_a_stream_that_nobody_keeps(client: FlaskClient) -> None:
    with listen(client, "jobs") as answer:
        assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert next(events(answer)) == BEGIN


def test_what_changes_is_told(client: FlaskClient, store: MemoryStore) -> None:
    with listen(client, "jobs", "models") as answer:
        told = begun(answer)
        submit(store)
        assert next(each for each in told if each) == b"data: jobs\n\n"


@pytest.mark.parametrize("topics", [(), ("secrets",), ("jobs", "job:x")])
def test_a_topic_that_there_is_not_is_refused(client: FlaskClient, topics: tuple[str, ...]) -> None:
    assert listen(client, *topics).status_code == 422


def test_a_job_that_one_may_not_see_is_refused_as_one_that_there_is_not(enter: Enter, store: MemoryStore) -> None:
    browser = enter("red", teams_isolated=True)
    mine, theirs = submit(store, team="red"), submit(store, team="blue")
    assert listen(browser, f"job:{theirs}").status_code == 404
    with listen(browser, f"job:{mine}") as answer:
        assert answer.status_code == 200


def test_who_is_of_an_isolated_team_is_told_of_its_own_jobs_only(enter: Enter, store: MemoryStore) -> None:
    with listen(enter("red", teams_isolated=True), "jobs") as answer:
        told = begun(answer)
        submit(store, team="blue")
        assert {next(told) for _ in range(60)} == {b""}  # longer than the pause between two looks


def test_who_is_unknown_hears_nothing(make_app: MakeApp) -> None:
    assert listen(make_app(api_tokens=("of-the-operator",)).test_client(), "jobs").status_code == 302


def test_it_ends_with_the_token_that_began_the_session(enter: Enter, store: MemoryStore) -> None:
    with listen(enter(), "jobs") as answer:
        told = events(answer)
        assert next(told) == BEGIN
        store.revoke_token("ann")
        assert list(told) == []


def test_it_ends_when_its_reader_signs_out(enter: Enter) -> None:
    browser = enter()
    with listen(browser, "jobs") as answer:
        told = events(answer)
        assert next(told) == BEGIN
        press(browser, "/ui/jobs", "/ui/sign-out")
        assert list(told) == []


def test_when_too_many_listen_the_next_one_is_told_to_ask_instead(make_app: MakeApp) -> None:
    browser = make_app(api_tabs=1).test_client()
    first = listen(browser, "jobs")
    refused = listen(browser, "jobs")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    first.close()
    with listen(browser, "jobs") as again:
        assert again.status_code == 200
