"""The list of jobs in a browser: filter, select, cancel, see what became of each, go back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.jobs import submit
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


@pytest.fixture
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


def submit_named(store: SqlStore, name: str) -> str:
    return submit(store, experiment_name=name, request={"experiment_name": name, "git_uri": "https://git.example/a"})


def test_two_of_the_jobs_that_were_looked_for_are_cancelled_and_the_way_leads_back(
    page: Page, api: ApiServer, store: SqlStore
) -> None:
    wrong = keep_inside(page)
    page.on("dialog", lambda dialog: dialog.accept())
    submit_named(store, "wine")
    jobs = [submit_named(store, HOSTILE) for _ in range(3)]
    page.goto(f"{api.url}/ui/jobs")
    page.get_by_label("Search").fill(HOSTILE)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#jobs tbody tr")).to_have_count(3)
    for job_id in jobs[:2]:
        page.get_by_label(f"Select {job_id[:8]}").check()
    later = submit_named(store, HOSTILE)
    expect(page.locator("#jobs")).to_contain_text(later[:8])
    expect(page.locator("#count")).to_have_text("With the 2 selected:")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel: 2 of 2 done")
    page.get_by_role("link", name="Back to the jobs").click()
    expect(page.get_by_label("Search")).to_have_value(HOSTILE)
    expect(page.locator("#jobs .state.cancelled")).to_have_count(2)
    expect(page.locator("#jobs tbody tr")).to_have_count(4)
    assert wrong == []
