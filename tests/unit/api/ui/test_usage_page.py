"""The page of usage: sums of a month, and the same as a table for other programs."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from shared.scheduling.limits import Limits
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, a_host, claim, submit
from tests.unit.conftest import MakeApp

HOSTILE = "=cmd|'<script>alert(1)</script>"


@pytest.fixture
def clock() -> HeldClock:
    held = HeldClock()
    held.now = datetime.now(UTC).replace(day=10)
    return held


@pytest.fixture
def store(clock: HeldClock) -> MemoryStore:
    return MemoryStore(limits=Limits(per_key=9), clock=clock)


@pytest.fixture
def month(store: MemoryStore, clock: HeldClock) -> str:
    """This month, in which two models were trained; the one before has another training."""
    for name, ends, back in (("iris", SUCCEEDED, 0), (HOSTILE, FAILED, 0), ("long-ago", SUCCEEDED, 30)):
        job = submit(store, gpus=2, model_name=name, team="vision")
        began = clock.now
        taken = claim(store, job, host=a_host(gpus=("0", "1")))
        clock.pass_seconds(5 * 3600)
        clock.now -= timedelta(days=back)
        store.finish(taken, ends)
        clock.now = began
    return f"{clock.now:%Y-%m}"


def test_it_begins_with_this_month_s_models(client: FlaskClient, month: str) -> None:
    page = client.get("/ui/usage").text
    assert f"By model, {month}" in page
    for shown in ("iris", "10.0", "1 failed"):
        assert shown in page
    assert "long-ago" not in page


def test_what_is_shown_is_in_the_address(client: FlaskClient, month: str) -> None:
    page = client.get(f"/ui/usage?by=team&since=2020-01&until={month}&model=iris").text
    assert "By team, 2020-01 to" in page
    assert ">vision</a>" in page
    assert 'value="iris"' in page
    assert client.get("/ui/usage?since=soon").status_code == 422
    assert "No attempt has ended in that time" in client.get("/ui/usage?until=2020-01").text


def test_the_same_numbers_come_as_csv_and_no_spreadsheet_runs_a_name(client: FlaskClient, month: str) -> None:
    answer = client.get(f"/ui/usage.csv?since={month}&until={month}&by=model")
    assert answer.mimetype == "text/csv"
    assert f'filename="usage-model-{month}-{month}.csv"' in answer.headers["Content-Disposition"]
    head, *rows = csv.reader(io.StringIO(answer.text))
    assert head[:4] == ["model", "attempts", "hours", "gpu_hours"]
    assert [row[:4] for row in rows] == [[f"'{HOSTILE}", "1", "5.0", "10.0"], ["iris", "1", "5.0", "10.0"]]


def test_hostile_names_are_text(client: FlaskClient, month: str) -> None:
    assert month in (page := client.get("/ui/usage").text)
    assert "<script>alert" not in page


def test_below_a_proxy_s_path_all_links_are_below_it(make_app: MakeApp, month: str) -> None:
    browser = make_app(api_public_url="https://ml.example.com/tools").test_client()
    page = browser.get("/tools/ui/usage", base_url="http://localhost").text
    assert month in page
    assert 'href="/ui' not in page
