"""The site of the documentation, as `make docs` builds it, in a browser that may ask nobody."""

import os
import subprocess

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.support.checkout import ROOT

BUILD_SECONDS = 300  # the first build installs the generator


@pytest.fixture(scope="module")
def site() -> str:
    """The address of its first page."""
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "--silent", "docs"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (ROOT / "build/site/index.html").as_uri()


def test_it_is_built_without_a_warning_and_loads_nothing_from_other_hosts(site: str, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site)
    page.get_by_role("link", name="Install").first.click()
    expect(page.get_by_role("heading", name="Install for a team")).to_be_visible()
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
