"""Hosts and triggers in a real browser: draining one, firing and pausing the other, and a backtest as a picture."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.jobs import a_host
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

TEMPLATE = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


@pytest.fixture
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


def test_a_host_appears_is_drained_with_a_reason_and_takes_jobs_again(
    page: Page, api: ApiServer, store: SqlStore
) -> None:
    wrong = keep_inside(page)
    page.goto(f"{api.url}/ui/workers")
    expect(page.get_by_text("No worker has sent a heartbeat yet")).to_be_visible()
    store.beat(a_host("gpu-1", slots=4, gpus=("0", "1")), gap_seconds=60)
    page.get_by_role("link", name="Drain gpu-1").click(timeout=15_000)
    page.get_by_label("Why, for those whose jobs wait for it").fill("new <disks>")
    page.get_by_role("button", name="Drain").click()
    expect(page.locator("#host")).to_contain_text("new <disks>")
    assert [each.host.drain and each.host.drain.reason for each in store.list_workers()] == ["new <disks>"]
    page.get_by_role("button", name="Take jobs again").click()
    expect(page.get_by_role("status")).to_have_text("The host takes jobs again.")
    assert [each.host.drain for each in store.list_workers()] == [None]
    assert wrong == []


def test_a_trigger_is_fired_and_leads_to_its_job_is_paused_and_tried_on_the_past(page: Page, api: ApiServer) -> None:
    wrong = keep_inside(page)
    trigger = {"name": "nightly", "template": TEMPLATE, "when": {"cron": "30 2 * * *"}}
    requests.post(f"{api.url}/triggers", json=trigger, timeout=10).raise_for_status()
    page.goto(f"{api.url}/ui/triggers/nightly")
    page.get_by_label("Why now?").fill("new data")
    page.get_by_role("button", name="Fire").click()
    expect(page.get_by_role("status")).to_contain_text("It fired, and started job")
    expect(page.locator("#events")).to_contain_text("reason new data")
    page.get_by_label("Why pause it?").fill("enough")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#facts")).to_contain_text("Paused")
    page.get_by_role("link", name="What would it have started?").click()
    expect(page.locator(".lane")).to_have_count(5)
    expect(page.get_by_role("img", name="weekly")).to_be_visible()
    page.get_by_label("Policies to compare").fill("mondays: {window: {days: [mon]}}")
    page.get_by_label("Since").select_option("7")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".lane", has_text="mondays 1 job; 6 skipped")).to_be_visible()
    assert wrong == []


def test_what_is_typed_is_kept_when_it_is_refused(page: Page, api: ApiServer) -> None:
    wrong = keep_inside(page)
    page.goto(f"{api.url}/ui/triggers/-/new")
    page.get_by_label("Its definition").fill("name: nightly\nwhen: {cron: never}")
    with page.expect_response("**/ui/triggers/-/new"):
        page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a cron expression")
    expect(page.get_by_label("Its definition")).to_have_value("name: nightly\nwhen: {cron: never}")
    assert [each for each in wrong if "422" not in each] == []
