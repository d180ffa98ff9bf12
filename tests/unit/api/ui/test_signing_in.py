"""Entering with a token, once: the session, its cookie, and the forms of its pages."""

from http.cookies import SimpleCookie

import pytest
from flask.testing import FlaskClient

from api.access.signed_in import COOKIE
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import form_token, press, sign_in
from tests.unit.conftest import BODY, MakeApp

TOKEN = "a-word-of-the-operators-own"


@pytest.fixture
def browser(make_app: MakeApp) -> FlaskClient:
    return make_app(api_tokens=(TOKEN,)).test_client()


def token_of_record(store: MemoryStore, *roles: Role) -> str:
    token = new_token()
    store.create_token(
        NewToken(name="ann", hash=hash_of(token), hint="art_", roles=frozenset(roles), created_by="env-1")
    )
    return token


def test_a_page_asks_who_is_unknown_to_sign_in_and_leads_back_where_it_was_asked_for(browser: FlaskClient) -> None:
    asked = browser.get("/ui/jobs?state=failed")
    assert (asked.status_code, asked.location) == (302, "/ui/sign-in?next=/ui/jobs?state%3Dfailed")
    entered = sign_in(browser, TOKEN, next="/ui/jobs?state=failed")
    assert (entered.status_code, entered.location) == (303, "/ui/jobs?state=failed")
    assert "env-1" in browser.get("/ui/jobs").text


def test_the_cookie_is_kept_from_scripts_and_other_sites_and_is_sent_to_pages_only(browser: FlaskClient) -> None:
    cookie = SimpleCookie(sign_in(browser, TOKEN).headers["Set-Cookie"])[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/ui", "")
    secure = browser.get("/ui/sign-in", base_url="https://ml.example.com")
    assert SimpleCookie(secure.headers["Set-Cookie"])[COOKIE]["secure"]


def test_a_session_s_cookie_opens_pages_and_nothing_of_the_api(browser: FlaskClient) -> None:
    sign_in(browser, TOKEN)
    browser.set_cookie(COOKIE, browser.get_cookie(COOKIE, path="/ui").value, path="/")  # type: ignore[union-attr]
    assert browser.get("/ui/jobs").status_code == 200
    assert browser.get("/jobs").status_code == 401
    assert browser.post("/retrain", json=BODY).status_code == 401


def test_signing_in_gives_another_cookie_than_the_browser_had(browser: FlaskClient) -> None:
    browser.get("/ui/sign-in")
    before = browser.get_cookie(COOKIE, path="/ui")
    sign_in(browser, TOKEN)
    after = browser.get_cookie(COOKIE, path="/ui")
    assert before is not None
    assert after is not None
    assert before.value != after.value


def test_a_wrong_token_is_told_and_opens_nothing(browser: FlaskClient) -> None:
    refused = sign_in(browser, "not-it")
    assert (refused.status_code, 'role="alert"' in refused.text) == (401, True)
    assert "not-it" not in refused.text
    assert browser.get("/ui/jobs").status_code == 302


def test_who_tries_tokens_is_slowed_down_at_this_door_too(browser: FlaskClient) -> None:
    found = {sign_in(browser, f"guess-{number}").status_code for number in range(60)}
    assert found == {401, 429}


def test_a_signed_token_of_single_sign_on_is_not_entered_here(browser: FlaskClient) -> None:
    refused = sign_in(browser, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.")
    assert refused.status_code == 401
    assert "signed token" in refused.text


def test_signing_out_ends_the_session_for_whoever_kept_the_cookie(browser: FlaskClient) -> None:
    sign_in(browser, TOKEN)
    cookie = browser.get_cookie(COOKIE, path="/ui")
    assert cookie is not None
    assert press(browser, "/ui/jobs", "/ui/sign-out").location == "/ui/sign-in?told=signed-out"
    browser.set_cookie(COOKIE, cookie.value, path="/ui")
    assert browser.get("/ui/jobs").status_code == 302


def test_a_session_ends_with_the_token_that_began_it(make_app: MakeApp, store: MemoryStore) -> None:
    browser = make_app(api_tokens=(TOKEN,)).test_client()
    sign_in(browser, token_of_record(store, Role.VIEWER))
    assert "ann" in browser.get("/ui/jobs").text
    store.revoke_token("ann")
    assert browser.get("/ui/jobs").status_code == 302


def test_a_session_of_a_token_of_the_settings_ends_when_the_operator_takes_it_out(
    make_app: MakeApp, store: MemoryStore
) -> None:
    before = make_app(api_tokens=(TOKEN,)).test_client()
    sign_in(before, TOKEN)
    cookie = before.get_cookie(COOKIE, path="/ui")
    assert cookie is not None
    for tokens, wanted in (((TOKEN, "another-word-of-theirs"), 200), (("another-word-of-theirs",), 302)):
        after = make_app(api_tokens=tokens).test_client()
        after.set_cookie(COOKIE, cookie.value, path="/ui")
        assert after.get("/ui/jobs").status_code == wanted


def test_neither_token_nor_cookie_is_in_the_record(browser: FlaskClient, store: MemoryStore) -> None:
    sign_in(browser, TOKEN)
    cookie = browser.get_cookie(COOKIE, path="/ui")
    assert cookie is not None
    [(new, *_)] = store._sessions.values()
    assert not {TOKEN, cookie.value, hash_of(TOKEN)} & {new.hash, new.proof, new.token_id}


def test_sessions_are_counted_by_the_token_that_began_them(make_app: MakeApp, store: MemoryStore) -> None:
    app = make_app(api_tokens=(TOKEN, "another-word-of-theirs"))
    of_record = token_of_record(store, Role.VIEWER)
    for token in (TOKEN, "another-word-of-theirs", of_record):
        sign_in(app.test_client(), token)
    assert [new.holder for new, *_ in store._sessions.values()] == ["env-1", "env-2", store.list_tokens()[0].id]


def test_who_signs_in_and_out_is_in_the_audit(browser: FlaskClient, store: MemoryStore) -> None:
    sign_in(browser, TOKEN)
    press(browser, "/ui/jobs", "/ui/sign-out")
    assert [(each.action, each.caller) for each in store._audit] == [("signIn", "env-1"), ("signOut", "env-1")]


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example/ui/", "/ui/\\evil", "/docs", "/ui/\nx"])
def test_signing_in_leads_to_no_other_site(browser: FlaskClient, elsewhere: str) -> None:
    assert sign_in(browser, TOKEN, next=elsewhere).location == "/ui/jobs"


def test_without_tokens_a_person_on_this_machine_needs_none(client: FlaskClient) -> None:
    page = client.get("/ui/jobs")
    assert (page.status_code, "Sign out" in page.text) == (200, False)


def test_a_form_that_no_page_of_ours_sent_changes_nothing(client: FlaskClient) -> None:
    job = (client.post("/retrain", json=BODY).json or {})["id"]
    page = client.get(f"/ui/jobs/{job}")
    stranger = client.application.test_client()
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}):
        assert client.post(f"/ui/jobs/{job}/cancel", data=form).status_code == 403
    assert stranger.post(f"/ui/jobs/{job}/cancel", data={"csrf": form_token(page)}).status_code == 403
    assert (client.get(f"/jobs/{job}").json or {})["state"] == "queued"


def test_below_a_proxy_s_path_the_cookie_and_all_links_are_below_it(make_app: MakeApp) -> None:
    browser = make_app(api_tokens=(TOKEN,), api_public_url="https://ml.example.com/tools").test_client()
    assert browser.get("/tools/ui/jobs").location == "/tools/ui/sign-in?next=/ui/jobs"
    page = browser.get("/tools/ui/sign-in")
    fields = {"csrf": form_token(page), "token": TOKEN, "next": "/ui/jobs"}
    assert browser.post("/tools/ui/sign-in", data=fields).location == "/tools/ui/jobs"
    shown = browser.get("/tools/ui/jobs").text
    assert 'href="/tools/ui/jobs" aria-current="page"' in shown
    assert 'href="/ui' not in shown


def test_who_sends_a_form_after_the_session_has_ended_is_told_where_to_sign_in(
    make_app: MakeApp, store: MemoryStore
) -> None:
    browser = make_app(api_tokens=(TOKEN,)).test_client()
    sign_in(browser, token_of_record(store, Role.SUBMITTER))
    form = {"csrf": form_token(browser.get("/ui/new")), "experiment_name": "iris"}
    store.revoke_token("ann")
    refused = browser.post("/ui/new", data=form)
    assert refused.status_code == 401
    assert 'href="/ui/sign-in"' in refused.text
