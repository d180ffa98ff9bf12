"""The documentation page in a real browser, without the internet."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.network.nginx import running_nginx
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[str]:
    """The address of an API below a path of nginx."""
    variables = {"API_PUBLIC_URL": "https://ml.example.com/tools/retrain", "API_TOKENS": "tok-1"}
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", **variables) as api:
        passed_on = f"location /tools/retrain/ {{ proxy_pass {api.url}/; proxy_set_header Host $http_host; }}"
        with running_nginx(tmp_path, passed_on) as address:
            yield f"{address}/tools/retrain"


def keep_inside(page: Page) -> list[str]:
    """Let the page ask this machine only; return what else it asked for, and what the browser complained about."""
    wrong: list[str] = []

    def decide(route: Route) -> None:
        url = route.request.url
        if urlsplit(url).hostname in ("127.0.0.1", None):
            route.continue_()
        else:
            wrong.append(url)
            route.abort()

    page.route("**/*", decide)
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    return wrong


def test_the_page_shows_the_operations_and_asks_this_machine_only(page: Page, api: ApiServer) -> None:
    wrong = keep_inside(page)
    page.goto(f"{api.url}/docs")
    expect(page.locator("#operations-jobs-retrain .opblock-summary-path", has_text="/retrain")).to_be_visible()
    page.locator("#operations-jobs-retrain .opblock-summary-control").click()
    expect(page.locator("#operations-jobs-retrain .opblock-body")).to_contain_text("Idempotency-Key")
    assert wrong == []


def test_the_page_can_send_a_retraining(page: Page, api: ApiServer) -> None:
    wrong = keep_inside(page)
    page.goto(f"{api.url}/docs")
    page.locator("#operations-jobs-retrain .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response .response-col_status")).to_contain_text("202")
    assert wrong == []


def test_below_a_path_of_a_proxy_the_page_asks_the_api_below_that_path(page: Page, outside: str) -> None:
    wrong = keep_inside(page)
    page.goto(f"{outside}/docs")
    page.locator("#operations-health-health .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response .response-col_status")).to_contain_text("200")
    expect(page.locator(".request-url")).to_contain_text(f"{outside}/healthz")
    assert wrong == []
