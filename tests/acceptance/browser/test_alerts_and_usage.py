"""Alerts and usage in a real browser: a channel is tried, an alert appears, and a month's sums are found and kept."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from shared.secrets.redactor import Redactor
from shared.settings import Settings
from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.alerting.webhook_server import WebhookServer
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, a_host, claim, ended, submit
from tests.support.network.ports import free_port
from tests.support.servers.alert_workers import alert_worker
from tests.support.servers.api_server import ApiServer, running_api
from worker.alerts.registry import channels_of


@pytest.fixture
def receiver() -> Iterator[WebhookServer]:
    """What the channel "webhook" posts to."""
    server = WebhookServer("alert_webhook_url")
    yield server
    server.close()


@pytest.fixture
def api(tmp_path: Path, receiver: WebhookServer) -> Iterator[ApiServer]:
    variables = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "ALERT_WEBHOOK_URL": receiver.url}
    with running_api(tmp_path, **variables) as server:
        yield server


def test_a_channel_is_tried_and_an_alert_appears_with_what_became_of_it(
    page: Page, api: ApiServer, receiver: WebhookServer
) -> None:
    settings = Settings.load(_env_file=None, data_dir=api.folder, **receiver.settings)
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}", alerting=settings.alerting)
    wrong = keep_inside(page)
    page.goto(f"{api.url}/ui/alerts")
    expect(page.get_by_text("Nothing was told yet.")).to_be_visible()
    with alert_worker(store, channels_of(settings, Redactor())):
        page.get_by_role("button", name="Send a test message to webhook").click()
        expect(page.get_by_role("status")).to_have_text("The test message to webhook arrived.", timeout=20_000)
        assert [text for text in receiver.texts() if '"test"' in text]
        job = ended(store, model_name="iris")
        page.goto(f"{api.url}/ui/alerts")
        line = page.get_by_role("row", name="succeeded")
        expect(line).to_contain_text("sent", timeout=20_000)
        receiver.is_gone = True
        page.get_by_role("button", name="Send a test message to webhook").click()
        expect(page.get_by_role("status")).to_contain_text("was refused, until somebody acts: HTTP 404", timeout=20_000)
    page.goto(f"{api.url}/ui/jobs/{job}")
    expect(page.locator("#job-alerts")).to_contain_text("succeeded")
    store.close()
    assert wrong == []


def test_a_month_s_usage_is_found_compared_and_taken_along_as_a_table(page: Page, api: ApiServer) -> None:
    clock = HeldClock()
    clock.now = (datetime.now(UTC).replace(day=15) - timedelta(days=40)).replace(day=3)
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}", clock=clock)
    for name, ending, hours in (("iris", SUCCEEDED, 8), ("wine", FAILED, 2)):
        taken = claim(store, submit(store, gpus=2, model_name=name), host=a_host(gpus=("0", "1")))
        clock.pass_seconds(hours * 3600)
        store.finish(taken, ending)
    month = f"{clock.now:%Y-%m}"
    wrong = keep_inside(page)
    page.goto(f"{api.url}/ui/usage")
    expect(page.get_by_text("No attempt has ended in that time.")).to_be_visible()
    page.get_by_role("link", name=month).click()
    expect(page).to_have_url(f"{api.url}/ui/usage?by=model&since={month}&until={month}")
    expect(page.get_by_role("row", name="iris")).to_contain_text("16.0")
    expect(page.get_by_role("row", name="All")).to_contain_text("1 failed")
    expect(page.get_by_role("img", name=f"Hours in {month}")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="As CSV").click()
    rows = list(csv.reader(download.value.path().read_text().splitlines()))
    assert [row[:4] for row in rows[1:]] == [["iris", "1", "8.0", "16.0"], ["wine", "1", "2.0", "4.0"]]
    page.get_by_role("link", name="iris").click()
    expect(page.get_by_label("Only model")).to_have_value("iris")
    store.close()
    assert wrong == []
