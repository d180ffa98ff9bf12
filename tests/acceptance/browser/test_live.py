"""A page that changes by itself: by events, or by asking where a proxy refuses them; and not while nobody looks."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, expect

from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.jobs import submit
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


@pytest.fixture
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


def asked_for(page: Page) -> list[str]:
    """The paths that the page asks for."""
    paths: list[str] = []

    def note(request: Request) -> None:
        paths.append(urlsplit(request.url).path)

    page.on("request", note)
    return paths


def test_a_new_job_appears(page: Page, api: ApiServer, store: SqlStore) -> None:
    wrong = keep_inside(page)
    first = submit(store)
    with page.expect_response(lambda answer: urlsplit(answer.url).path == "/ui/live"):
        page.goto(f"{api.url}/ui/jobs")
    second = submit(store)
    expect(page.locator("#jobs")).to_contain_text(second[:8])
    expect(page.locator("#jobs")).to_contain_text(first[:8])
    assert wrong == []


def test_where_events_are_refused_the_page_asks_now_and_then(page: Page, api: ApiServer, store: SqlStore) -> None:
    page.route("**/ui/live*", lambda route: route.fulfill(status=503))
    page.goto(f"{api.url}/ui/jobs")
    job_id = submit(store)
    expect(page.locator("#jobs")).to_contain_text(job_id[:8], timeout=10_000)


def test_a_tab_in_the_background_asks_for_nothing_and_catches_up_when_it_is_shown(
    page: Page, api: ApiServer, store: SqlStore
) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away ?? false })")
    with page.expect_response(lambda answer: urlsplit(answer.url).path == "/ui/live"):
        page.goto(f"{api.url}/ui/jobs")
    first = submit(store)
    expect(page.locator("#jobs")).to_contain_text(first[:8])
    page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    paths = asked_for(page)
    second = submit(store)
    with page.expect_response(lambda answer: urlsplit(answer.url).path == "/ui/static/icon.svg"):
        page.evaluate("setTimeout(() => fetch('/ui/static/icon.svg'), 2500)")  # longer than it takes to be told
    assert paths == ["/ui/static/icon.svg"]
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#jobs")).to_contain_text(second[:8])


def test_whose_session_is_over_is_asked_to_sign_in_again(page: Page, tmp_path: Path) -> None:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", API_TOKENS="of-the-operator") as api:
        page.goto(f"{api.url}/ui/jobs")
        page.get_by_label("Your token").fill("of-the-operator")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        form: dict[str, str | float | bool] = {"csrf": page.locator("input[name=csrf]").first.input_value()}
        page.request.post(f"{api.url}/ui/sign-out", form=form)  # in another tab, say
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=20_000)
