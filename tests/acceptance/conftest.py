"""Stacks that several tests share, since one takes ten seconds to start; the repository as a clone; a browser.

The stacks end with the tests of this folder: idle, they still take a tenth of a core.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.acceptance.support.checkout import fresh_clone
from tests.support.engines import require
from tests.support.servers.azurite import azurite
from tests.support.servers.postgres import postgres_server
from tests.support.servers.stack import Stack, running_stack

__all__ = ["azurite", "postgres_server"]

SLOTS = 2
DOCKERS_POOLS = "172.16.0.0/12,192.168.0.0/16"
BROWSER_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
TIMEOUT_MILLISECONDS = 30_000


@pytest.fixture(scope="package")
def docker_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that trains in containers."""
    settings = {"SLOTS": str(SLOTS), "TRAINING_ALLOWED_NETWORKS": DOCKERS_POOLS}  # tests serve on this machine
    with running_stack(tmp_path_factory.mktemp("docker-stack"), runner="docker", settings=settings) as up:
        yield up


@pytest.fixture(scope="package")
def process_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that trains in plain processes, on a machine where Docker does not answer."""
    folder = tmp_path_factory.mktemp("process-stack")
    nowhere = {"DOCKER_HOST": f"unix://{folder / 'no-docker.sock'}", "SLOTS": str(SLOTS)}
    with running_stack(folder, runner="process", settings=nowhere) as up:
        yield up


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of this repository."""
    return fresh_clone(tmp_path_factory.mktemp("clone") / "automated-training")


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a real browser."""
    chromium = shutil.which("chromium")
    require(chromium is not None, "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=BROWSER_FLAGS)
        opened = browser.new_page()
        opened.set_default_timeout(TIMEOUT_MILLISECONDS)
        yield opened
        browser.close()
