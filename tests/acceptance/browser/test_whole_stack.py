"""All that a person does in the pages, with a real worker that trains and a real MLflow whose aliases move."""

import re
import shutil
import uuid
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from playwright.sync_api import Page, expect

from tests.acceptance.browser.test_docs_page import keep_inside
from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.projects import mlproject, repository
from tests.acceptance.test_promotion import MLPROJECT, TRAIN
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until

TRAINED_MILLISECONDS = 120_000
ENDLESS = "echo it goes on; sleep 600"


@pytest.fixture
def model() -> str:
    return f"visited {uuid.uuid4().hex[:8]}"


@pytest.fixture
def git_uri(tmp_path: Path) -> str:
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "mypackage", folder / "mypackage", ignore=shutil.ignore_patterns("__pycache__"))
    return repository(folder, {"MLproject": MLPROJECT, "train.py": TRAIN})


def becomes(page: Page, state: str) -> None:
    """Wait until the open page shows the state, as it is told of it."""
    expect(page.get_by_role("heading", level=1)).to_contain_text(state, timeout=TRAINED_MILLISECONDS)


def champion(stack: Stack, model: str) -> str:
    return str(MlflowClient(stack.urls["mlflow"]).get_model_version_by_alias(model, "champion").version)


def answer(page: Page, model: str, version: int) -> None:
    """Approve the version, from its model's page."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Models").click()
    page.get_by_role("link", name=f"Answer about version {version} of {model}").click()
    page.get_by_label("Why (may be empty)").fill("seen")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("champion now")


def test_a_model_is_retrained_approved_and_rolled_back(
    page: Page, process_stack: Stack, git_uri: str, model: str
) -> None:
    wrong, api = keep_inside(page), process_stack.urls["api"]
    body = {"experiment_name": "visited", "git_uri": git_uri, "model_name": model, "promotion": {"mode": "approve"}}
    job = process_stack.post({**body, "parameters": {"accuracy": 0.8}})
    page.goto(f"{api}/ui/jobs/{job['id']}")
    becomes(page, "succeeded")
    expect(page.get_by_role("log")).to_contain_text("registered", ignore_case=True)
    answer(page, model, 1)
    assert champion(process_stack, model) == "1"

    page.goto(f"{api}/ui/jobs/{job['id']}")
    page.get_by_role("link", name="Submit again with changes").click()
    page.get_by_label("Parameter 1, value").fill("0.9")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("status").filter(has_text="The job is submitted.")).to_be_visible()
    becomes(page, "succeeded")
    answer(page, model, 2)
    assert champion(process_stack, model) == "2"

    page.goto(f"{api}/ui/models")
    page.get_by_role("link", name=model, exact=True).first.click()
    page.get_by_role("link", name="Roll back").click()
    page.get_by_label("Why").fill("it was better")
    page.get_by_role("button", name=re.compile("Make it|Roll back|champion")).click()
    expect(page.get_by_role("status")).to_be_visible()
    assert champion(process_stack, model) == "1"
    assert wrong == []


def test_a_training_is_followed_cancelled_and_repeated_and_its_host_drained(
    page: Page, process_stack: Stack, tmp_path: Path
) -> None:
    wrong, api = keep_inside(page), process_stack.urls["api"]
    git_uri = repository(tmp_path / "endless", {"MLproject": mlproject(ENDLESS)})
    job = process_stack.post({"experiment_name": "visited", "git_uri": git_uri})
    page.goto(f"{api}/ui/jobs/{job['id']}")
    becomes(page, "running")
    expect(page.get_by_role("log")).to_contain_text("it goes on")
    page.get_by_role("button", name="Cancel").click()
    becomes(page, "cancelled")

    page.get_by_role("button", name="Retry").click()
    becomes(page, "running")
    again = page.url.split("/")[-1].split("?")[0]
    assert again != job["id"]
    page.get_by_role("link", name="Kill it at once").click()
    page.get_by_role("button", name=re.compile("Kill")).click()
    becomes(page, "cancelled")

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Workers").click()
    page.get_by_role("link", name="Drain").click()
    page.get_by_label("Why").fill("another disk")
    page.get_by_role("button", name="Drain").click()
    expect(page.get_by_text("another disk")).to_be_visible()
    page.get_by_role("button", name="Take jobs again").click()
    wait_until(lambda: not process_stack.get("/workers").json()["workers"][0]["drain"], what="a host that takes jobs")
    assert wrong == []
