"""The page of one job in a browser: what changes is shown, and what one does is done."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending
from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.jobs import claim, running
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

LEASE_SECONDS = 600.0  # longer than any of these tests
BAD_RATE = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "The training ended with 1: alpha is too large.")
REQUEST = {
    "experiment_name": "iris",
    "git_uri": "https://git.example/iris.git",
    "parameters": {"alpha": 5, "note": "two\nlines"},
    "timeouts": {"run_seconds": 60.0},
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


@pytest.fixture
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


def test_a_failed_job_is_submitted_again_with_a_changed_parameter(page: Page, api: ApiServer, store: SqlStore) -> None:
    wrong = keep_inside(page)
    taken = running(store, lease_seconds=LEASE_SECONDS, request=REQUEST)
    failed = store.finish(taken, Ending(JobState.FAILED, BAD_RATE, exit_code=1)).id
    page.goto(f"{api.url}/ui/jobs/{failed}")
    expect(page.get_by_text("alpha is too large").first).to_be_visible()
    page.get_by_role("link", name="Submit again with changes").click()
    page.get_by_label("Parameter 1, value").fill("0.5")
    page.get_by_role("group", name="Parameters").get_by_role("button", name="Add a row").click()
    page.keyboard.type("epochs")  # the focus is in the new row
    page.keyboard.press("Tab")
    page.keyboard.type("3")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("status").filter(has_text="The job is submitted.")).to_be_visible()
    new = store.get(page.url.split("/")[-1].split("?")[0])
    assert new.request == {**REQUEST, "parameters": {"alpha": 0.5, "note": "two\nlines", "epochs": 3}}
    assert wrong == []


def test_a_running_job_is_cancelled_and_the_page_shows_its_end(page: Page, api: ApiServer, store: SqlStore) -> None:
    wrong = keep_inside(page)
    taken = running(store, lease_seconds=LEASE_SECONDS)
    page.goto(f"{api.url}/ui/jobs/{taken.job.id}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelling")
    page.get_by_text("fields have their defaults").click()
    with page.expect_response(lambda answer: answer.url.endswith("/alerts")):  # what was told is asked for again
        store.finish(taken, Ending(JobState.CANCELLED, exit_code=143))
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled", timeout=10_000)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.locator("#defaults")).to_have_attribute("open", "")
    assert wrong == []


def test_what_was_typed_stays_when_the_request_is_refused(page: Page, api: ApiServer, store: SqlStore) -> None:
    page.goto(f"{api.url}/ui/new")
    page.get_by_label("Experiment").fill("iris")
    page.get_by_label("Repository", exact=True).fill("https://git.example/iris.git")
    page.get_by_label("Everything else, as JSON").fill('{"retry": {"max_attempts": 0}}')
    page.get_by_role("button", name="Submit").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("retry.max_attempts")
    alert.get_by_role("link").click()
    expect(page.get_by_label("Everything else, as JSON")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type('{"retry": {"max_attempts": 2}}')
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("queued")
    assert claim(store, page.url.split("/")[-1].split("?")[0]).job.request["retry"] == {"max_attempts": 2}
