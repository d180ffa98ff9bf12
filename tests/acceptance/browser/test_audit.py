"""The rules of Lighthouse that a page of ours could break, one by one: what it loads, how it moves, what it keeps."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.acceptance.browser.filled import Filled, filled_api
from tests.acceptance.browser.test_pages import address_of, shown

MAIN = ["/jobs", "/jobs/<job_id>", "/models", "/models/<model>", "/triggers", "/workers"]
MOST_BYTES = 150_000
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => { for (const each of list.getEntries()) window.shifted += each.value; })
  .observe({ type: "layout-shift", buffered: true });
"""
LOADED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].map(
  (each) => ({ name: new URL(each.name).pathname, bytes: each.transferSize, blocks: each.renderBlockingStatus }))"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_api(tmp_path_factory.mktemp("audit")) as up:
        yield up


@pytest.fixture(params=MAIN)
def opened(request: pytest.FixtureRequest, page: Page, filled: Filled) -> Page:
    """One of the main pages, with all that it loads at first."""
    page.add_init_script(SHIFTS)
    shown(page, address_of(request.param, filled))
    page.wait_for_function("document.readyState === 'complete'")
    return page


def loaded(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(LOADED)
    return found


def test_a_page_is_small_calm_and_quickly_seen(opened: Page) -> None:
    files = loaded(opened)
    own = [each["bytes"] for each in files if not each["name"].endswith("/log/part")]  # as much of it as one looks at
    assert sum(own) <= MOST_BYTES
    blocking = {each["name"]: each["bytes"] for each in files if each["blocks"] == "blocking"}
    assert set(blocking) <= {"/ui/static/style.css", "/ui/static/ui.js"}  # this one writes times before they are seen
    assert sum(blocking.values()) < 30_000
    assert opened.evaluate("window.shifted") < 0.1  # as Lighthouse has it: good
    assert opened.evaluate("document.querySelectorAll('*').length") < 2000
    head: dict[str, Any] = opened.evaluate(
        "({ mode: document.compatMode, letters: document.characterSet, language: document.documentElement.lang,"
        " title: document.title, viewport: document.querySelector('meta[name=viewport]').content })"
    )
    assert (head["mode"], head["letters"], head["language"]) == ("CSS1Compat", "UTF-8", "en")
    assert head["title"].endswith("Automated Training")
    assert head["viewport"] == "width=device-width, initial-scale=1"
    assert opened.evaluate("[...document.querySelectorAll('img')].every((each) => each.alt)")


def test_what_a_page_loads_is_kept_by_the_browser_for_good(page: Page, filled: Filled) -> None:
    shown(page, address_of("/jobs/<job_id>", filled))
    files = [each["name"] for each in loaded(page) if each["name"].startswith("/ui/static/")]
    assert len(files) > 3
    links = "[...document.querySelectorAll('script[src], link[rel=stylesheet]')].map((each) => each.src || each.href)"
    for address in page.evaluate(links):
        assert "immutable" in page.request.get(address).headers["cache-control"]
