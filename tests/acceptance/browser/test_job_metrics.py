"""A job's metrics in its page: loaded after it, kept as they come, and open where a person has opened them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.browser.filled import Filled, filled_api
from tests.acceptance.browser.test_docs_page import keep_inside


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_api(tmp_path_factory.mktemp("metrics")) as up:
        yield up


def test_they_come_into_the_jobs_page_and_what_is_open_stays_open(page: Page, filled: Filled) -> None:
    wrong = keep_inside(page)
    page.clock.install()
    page.goto(f"{filled.api.url}/ui/jobs/{filled.jobs['running']}")
    metrics = page.locator("#metrics")
    expect(metrics.get_by_role("img", name="accuracy")).to_be_visible()
    metrics.get_by_text("The numbers").click()

    with page.expect_response("**/metrics"):
        page.clock.run_for(11_000)

    expect(metrics.get_by_role("row", name="0 \N{EN DASH}")).to_be_visible()
    assert wrong == []


def test_without_a_script_a_link_leads_to_them(page: Page, filled: Filled) -> None:
    browser = page.context.browser
    assert browser
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(f"{filled.api.url}/ui/jobs/{filled.jobs['running']}")
    plain.get_by_role("link", name="Metrics as they come").click()
    expect(plain.get_by_role("img", name="accuracy")).to_be_visible()
