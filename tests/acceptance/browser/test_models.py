"""Answering what waits for approval, and going back to the champion before, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from shared.jobs.promotions import Kind, NewPromotion, Promotion, PromotionState
from shared.sql import SqlStore
from tests.acceptance.browser.test_docs_page import keep_inside
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.servers.odd_mlflow import OddMlflow, odd_mlflow

FACTS: dict[str, Any] = {
    "challenger": {"model_name": "iris", "metric": "accuracy", "value": 0.9, "metrics": {}, "dataset": None},
    "champion": None,
    "rules": {"lower_is_better": False, "min_delta": 0.0, "min_value": None, "guardrails": []},
}


@pytest.fixture
def mlflow() -> Iterator[OddMlflow]:
    with odd_mlflow() as server:
        yield server


@pytest.fixture
def api(tmp_path: Path, mlflow: OddMlflow) -> Iterator[ApiServer]:
    variables = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "MLFLOW_TRACKING_URI": mlflow.served.url}
    with running_api(tmp_path, **variables) as server:
        yield server


@pytest.fixture
def waiting(tmp_path: Path, api: ApiServer) -> Promotion:
    """A decision about version 3 that waits; version 2 is champion."""
    assert api.answers()
    store = SqlStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    state, reason = PromotionState.AWAITING_APPROVAL, "waits for approval: accuracy 0.9 > 0.8"
    new = NewPromotion("iris", "champion", Kind.TRAINING, "3", "2", state, "job j", reason, facts=FACTS)
    try:
        return store.propose(new, seen=0)
    finally:
        store.close()


def test_a_version_is_approved_and_then_the_champion_goes_back(
    page: Page, api: ApiServer, mlflow: OddMlflow, waiting: Promotion
) -> None:
    wrong = keep_inside(page)
    page.goto(f"{api.url}/ui/models")
    page.get_by_role("link", name="Answer about version 3 of iris").click()
    expect(page).to_have_url(f"{api.url}/ui/promotions/{waiting.id}")
    page.get_by_label("Why (may be empty)").fill("as discussed")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("champion now")
    assert mlflow.aliases == {"previous": "2", "champion": "3"}

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
    page.get_by_role("link", name="iris", exact=True).click()
    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_text("moves from version 3 to version 2")).to_be_visible()
    page.get_by_label("Why, for those who ask later").fill("blind to roses")
    page.get_by_role("button", name="Make version 2 the champion").click()
    expect(page.get_by_role("status")).to_contain_text("The champion has moved.")
    assert mlflow.aliases == {"previous": "3", "champion": "2"}

    page.get_by_role("link", name="All that happened").click()
    rows = page.get_by_role("region", name="Events, the newest first").locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("Rolled back: version 2 is champion")
    expect(rows.nth(0)).to_contain_text("blind to roses")
    expect(page.get_by_text("Version 3 was approved")).to_be_visible()
    assert wrong == []
