"""The audit's page: who did what, found by the address."""

from flask.testing import FlaskClient

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import sign_in
from tests.unit.conftest import MakeApp, Submit

TOKEN = "an-administrator-s-word"
HOSTILE = '<script>alert(1)</script>"&\u202e'


def test_the_page_says_who_did_what_to_what_and_when_exactly(
    client: FlaskClient, submit: Submit, store: MemoryStore
) -> None:
    job = submit()["id"]
    page = client.get("/ui/audit").text
    entry = store._audit[-1]
    assert f'href="/ui/jobs/{job}"' in page
    assert f"{entry.at:%Y-%m-%d %H:%M:%S}" in page
    assert f"action={entry.action}" in page
    assert "retrain audit verify" in page


def test_filters_are_in_the_address_and_stay_in_the_form(client: FlaskClient, submit: Submit) -> None:
    submit()
    assert "Nothing is recorded that matches" in client.get("/ui/audit?caller=ann&outcome=done").text
    page = client.get("/ui/audit?caller=ann&outcome=refused&since=2026-01-31T12:00").text
    for kept in ('value="ann"', "<option selected>refused", 'value="2026-01-31T12:00"'):
        assert kept in page
    assert client.get("/ui/audit?outcome=unheard-of").status_code == 422
    assert client.get("/ui/audit?since=yesterday").status_code == 422


def test_a_time_of_the_form_and_one_of_the_api_mean_the_same(client: FlaskClient, submit: Submit) -> None:
    submit()
    for until, is_there in (("2020-01-01T00:00", False), ("2020-01-01T00:00:00Z", False), ("2100-01-01T00:00", True)):
        assert ("/ui/jobs/" in client.get("/ui/audit", query_string={"until": until}).text) == is_there


def test_older_entries_are_a_link_away(client: FlaskClient, submit: Submit) -> None:
    for _ in range(3):
        submit()
    page = client.get("/ui/audit?limit=2").text
    assert 'rel="next" href="/ui/audit?limit=2&amp;before=2"' in page
    assert 'rel="next"' not in client.get("/ui/audit?limit=2&before=2").text


def test_hostile_words_are_text(make_app: MakeApp, store: MemoryStore) -> None:
    browser = make_app(api_tokens=(TOKEN,)).test_client()
    sign_in(browser, TOKEN)
    browser.post("/ui/jobs/%3Cscript%3Ealert(1)%3C%2Fscript%3E/cancel")
    page = browser.get("/ui/audit", query_string={"caller": HOSTILE}).text
    assert "<script>alert(1)" not in page + browser.get("/ui/audit").text


def test_only_an_administrator_is_shown_the_way_there(make_app: MakeApp, store: MemoryStore) -> None:
    app = make_app(api_tokens=(TOKEN,))
    for role in (Role.OPERATOR, Role.ADMIN):
        token, browser = new_token(), app.test_client()
        facts = {"roles": frozenset({role}), "created_by": "env-1"}
        store.create_token(NewToken(name=role.value, hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
        sign_in(browser, token)
        assert ('href="/ui/audit"' in browser.get("/ui/jobs").text) == (role is Role.ADMIN)
