"""What holds for every page, also for those that come later."""

import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from api.app import Api
from api.ui.page import Page
from api.ui.pages import found_pages
from api.ui.rendering import CONTENT_SECURITY_POLICY, STATIC
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from tests.fakes.store import MemoryStore
from tests.unit.api.ui.browser import form_token, sign_in
from tests.unit.conftest import MakeApp

PAGES = sorted(found_pages(), key=lambda each: (each.path, each.method))
WORDS = {"job_id": "0f7dbd6e-0000-4000-8000-000000000000"}
VENDORED = {"idiomorph-0.8.0.min.js": "4cbd535caf7663a51eda9bce6595371c384fc430d54b8d414e29a61167f19f96"}


def address_of(page: Page) -> str:
    return "/ui" + re.sub(r"<(?:[a-z]+:)?(\w+)>", lambda name: WORDS.get(name[1], "unknown"), page.path)


def name_of(page: Page) -> str:
    return f"{page.method} {page.path}"


@pytest.fixture
def app(make_app: MakeApp) -> Api:
    return make_app(api_tokens=("an-administrator-s-word",))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_who_is_unknown_sees_nothing_and_does_nothing(page: Page, app: Api) -> None:
    answer = app.test_client().open(address_of(page), method=page.method)
    assert answer.status_code == (302 if page.method == "GET" else 401)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_whose_role_lacks_the_right_is_refused_and_others_are_not(page: Page, app: Api, store: MemoryStore) -> None:
    for role in Role:
        token, browser = new_token(), app.test_client()
        facts = {"roles": frozenset({role}), "created_by": "env-1"}
        store.create_token(NewToken(name=role.value, hash=hash_of(token), hint="art_", **facts))  # type: ignore[arg-type]
        sign_in(browser, token)
        form = {"csrf": form_token(browser.get("/ui/jobs"))} if page.method == "POST" else None
        answer = browser.open(address_of(page), method=page.method, data=form)
        assert (answer.status_code == 403) == (page.needs not in role.rights), (role, answer.text)
        assert answer.status_code < 500 or answer.status_code == 503, (role, answer.text)


@pytest.mark.parametrize("page", [each for each in PAGES if each.method == "POST"], ids=name_of)
def test_an_action_takes_only_forms_of_our_own_pages(page: Page, app: Api) -> None:
    browser = app.test_client()
    sign_in(browser, "an-administrator-s-word")
    assert browser.post(address_of(page), data={"csrf": "0" * 64}).status_code == 403


def test_every_route_below_ui_is_one_of_these(app: Api) -> None:
    routes = {each.rule for each in app.url_map.iter_rules() if each.rule.startswith("/ui")}
    others = {"/ui/", "/ui/sign-in", "/ui/sign-out", "/ui/live", "/ui/static/<path:name>"}
    assert routes == {f"/ui{each.path}" for each in PAGES} | others


class Parts(HTMLParser):
    """What a page would run, load, or style by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.wrong += [f"<{tag} {name}>" for name in names if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not (names.get("src") or "").startswith("/ui/static/")):
            self.wrong.append(f"<{tag}>")


@pytest.mark.parametrize("page", [each for each in PAGES if each.method == "GET"], ids=name_of)
def test_a_page_has_nothing_that_the_browser_is_told_to_refuse(page: Page, client: FlaskClient) -> None:
    answer = client.get(address_of(page))
    if answer.mimetype == "text/html":
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        parts = Parts()
        parts.feed(answer.text)
        assert parts.wrong == []


def test_what_fails_is_a_page_that_says_what_to_do(client: FlaskClient) -> None:
    answer = client.get("/ui/jobs/0f7dbd6e-0000-4000-8000-000000000000")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "JOB_NOT_FOUND" in answer.text
    assert client.get("/ui/jobs?state=<script>").status_code == 422
    assert "<script>alert" not in client.get("/ui/<script>alert(1)</script>").text


def test_a_page_that_the_browser_has_already_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get("/ui/jobs").headers["ETag"]
    assert client.get("/ui/jobs", headers={"If-None-Match": etag}).status_code == 304


def test_files_of_a_page_are_kept_for_good_under_an_address_that_changes_with_them(client: FlaskClient) -> None:
    address = re.search(r'href="(/ui/static/style.css\?v=\w+)"', client.get("/ui/jobs").text)
    assert address
    with client.get(address[1]) as kept, client.get("/ui/static/style.css?v=other") as asked_again:
        assert "immutable" in kept.headers["Cache-Control"]
        assert "immutable" not in asked_again.headers["Cache-Control"]
    assert client.get("/ui/static/../rendering.py").status_code == 404
    for name in ("unknown", "9" * 400, "a\x00b"):
        assert client.get(f"/ui/static/{name}").status_code == 404


def test_vendored_scripts_are_those_that_their_authors_published_and_have_their_licences() -> None:
    folder = STATIC / "vendor"
    found = {each.name: sha256(each.read_bytes()).hexdigest() for each in folder.glob("*.js")}
    assert found == VENDORED
    assert {each.name for each in folder.glob("LICENSE-*")} == {"LICENSE-idiomorph.txt"}
