"""The commands and files of the README and of the first tutorial, in their order, in a fresh clone."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.support.checkout import ENVIRONMENT, ROOT
from tests.acceptance.support.pages import Done, marked_blocks, run_all
from tests.support.engines import require
from tests.support.servers.stack import Stack

README, TUTORIAL = ROOT / "README.md", ROOT / "docs/tutorial/first-model.md"
DEMO_OUTPUT = re.compile(r"^make demo\n```\n.*?^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS_SECONDS = 240
USUAL_PORTS = {"5005": "api", "5007": "mlflow", "5555": "flower"}
MOST_LINES = 165
# What differs from run to run: ids, times, versions of a name, this host.
VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d\d:\d\d:\d\d|\d{8}-\d{6}|(?<= (by|on) )\S+$")


def followed(page: Path, stack: Stack, clone: Path) -> list[Done]:
    """Do what the page says, against a stack whose ports stand in place of the usual ones."""
    require(shutil.which("curl") is not None, "curl")
    ports = {usual: str(stack.ports[name]) for usual, name in USUAL_PORTS.items()}
    blocks = [
        replace(block, text=re.sub("|".join(ports), lambda match: ports[match[0]], block.text))
        for block in marked_blocks(page)
    ]
    author = {name: value for name, value in ENVIRONMENT.items() if name.startswith("GIT_")}
    path = f"{clone / '.venv/bin'}:{stack.environment['PATH']}"
    environment = {**stack.environment, **author, "PATH": path, "RETRAIN_URL": stack.urls["api"]}
    return run_all(blocks, folder=clone, environment=environment, seconds=COMMANDS_SECONDS)


@pytest.fixture(scope="module")
def readme(process_stack: Stack, clone: Path) -> list[Done]:
    return followed(README, process_stack, clone)


@pytest.fixture(scope="module")
def tutorial(process_stack: Stack, clone: Path) -> list[Done]:
    return followed(TUTORIAL, process_stack, clone)


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_the_demo_prints_what_the_readme_shows(readme: list[Done]) -> None:
    shown = DEMO_OUTPUT.search(README.read_text())
    assert shown, "the README shows no output of make demo"
    printed = [VARIABLE.sub("…", line) for line in readme[0].output.splitlines()]
    for line in shown[1].splitlines():
        expected = VARIABLE.sub("…", line)
        found = line.strip() in ("...", "") or any(each.startswith(expected) for each in printed)
        assert found, f"make demo does not print {line!r} but:\n{readme[0].output}"


def test_the_readme_retrains_an_example_and_then_its_own_project(readme: list[Done], process_stack: Stack) -> None:
    first, own = (done.output for done in readme if "retrain submit" in done.commands)
    assert "promoted: first version of 'digits'" in first
    assert "promoted: first version of 'iris'" in own
    for model in ("digits", "iris"):
        *_, job = process_stack.get("/jobs", model=model).json()["jobs"]
        assert (job["state"], job["model"]["name"]) == ("succeeded", model)


def test_the_readmes_trigger_is_fired_once_and_says_so(readme: list[Done], process_stack: Stack) -> None:
    (said,) = (done.output for done in readme if "retrain triggers why" in done.commands)
    [job] = process_stack.get("/jobs", trigger="nightly").json()["jobs"]
    assert job["id"] in said
    assert "02:30" in said
    assert process_stack.wait(job)["state"] == "succeeded"


def test_a_worse_model_of_that_project_is_not_promoted_as_the_readme_says(
    readme: list[Done], process_stack: Stack, clone: Path
) -> None:
    says = re.search(r"submit again with `([^`]+)`, and it ends with\s+`not promoted: …`", README.read_text())
    assert says
    assert readme
    (command,) = (block.text for block in marked_blocks(README) if "--model-name iris" in block.text)
    again = command[command.index("retrain submit") :].rstrip() + f" {says[1]}\n"
    done = subprocess.run(
        ["bash", "-euc", again],
        cwd=clone.parent / "iris",
        env={
            **process_stack.environment,
            "PATH": f"{clone / '.venv/bin'}:{process_stack.environment['PATH']}",
            "RETRAIN_URL": process_stack.urls["api"],
        },
        capture_output=True,
        text=True,
        timeout=COMMANDS_SECONDS,
        check=False,
    )
    assert "not promoted: " in done.stdout, done.stdout + done.stderr


def test_the_tutorial_s_commands_work_in_their_order(tutorial: list[Done]) -> None:
    assert len(tutorial) >= 3
    assert all(done.output.strip() for done in tutorial)


def test_the_tutorial_s_retraining_ends_as_a_success_with_a_model(tutorial: list[Done], process_stack: Stack) -> None:
    (submitted,) = (json.loads(done.output) for done in tutorial if "-X POST" in done.commands)
    job = process_stack.job(submitted)
    assert (job["state"], job["model"]["name"]) == ("succeeded", submitted["request"]["model_name"])
    (read,) = (done.output for done in tutorial if "/logs" in done.commands)
    assert '"state":"succeeded"' in read
    assert process_stack.job_log(job) in read


def test_the_tutorial_s_worse_model_is_refused_in_the_words_that_it_quotes(tutorial: list[Done]) -> None:
    (quoted,) = re.findall(r"The log ends with `([^`]+)`", TUTORIAL.read_text())
    assert quoted in tutorial[-1].output
