"""The README's own commands, in their order, in a fresh clone: each ```bash block with `<!-- test -->` above it."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.support.checkout import ROOT
from tests.support.engines import require
from tests.support.servers.stack import Stack

README = ROOT / "README.md"
MARKED_BLOCK = re.compile(r"^<!-- test -->\n```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DEMO_OUTPUT = re.compile(r"^make demo\n```\n.*?^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS_SECONDS = 240
USUAL_PORTS = {"5005": "api", "5007": "mlflow", "5555": "flower"}
# What differs from run to run: ids, times, versions of a name, this host.
VARIABLE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d\d:\d\d:\d\d|\d{8}-\d{6}|(?<= (by|on) )\S+$")


@dataclass(frozen=True)
class Done:
    """What a block of commands printed."""

    commands: str
    output: str


def marked_blocks() -> list[str]:
    return MARKED_BLOCK.findall(README.read_text())


def run_all(blocks: list[str], *, folder: Path, environment: dict[str, str]) -> list[Done]:
    """Run the blocks one after the other in one shell, as a reader does: a variable lives on in the next block."""
    marker = "=====next block====="
    script = f"\necho '{marker}'\n".join(blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMANDS_SECONDS,
        check=False,
    )
    outputs = done.stdout.split(f"{marker}\n")
    assert done.returncode == 0, f"This block failed:\n{blocks[len(outputs) - 1]}\n{done.stdout}{done.stderr}"
    return [Done(commands, output) for commands, output in zip(blocks, outputs, strict=True)]


@pytest.fixture(scope="module")
def transcript(process_stack: Stack, clone: Path) -> list[Done]:
    """All marked blocks, run against a stack whose ports stand in place of the usual ones."""
    require(shutil.which("curl") is not None, "curl")
    ports = {usual: str(process_stack.ports[name]) for usual, name in USUAL_PORTS.items()}
    blocks = [re.sub("|".join(ports), lambda match: ports[match[0]], block) for block in marked_blocks()]
    environment = {**process_stack.environment, "PATH": f"{clone / '.venv/bin'}:{process_stack.environment['PATH']}"}
    return run_all(blocks, folder=clone, environment=environment)


def test_its_commands_work_in_their_order(transcript: list[Done]) -> None:
    assert len(transcript) >= 3
    assert all(done.output.strip() for done in transcript)


def test_its_retraining_ends_as_a_success_with_a_model(transcript: list[Done], process_stack: Stack) -> None:
    (submitted,) = (json.loads(done.output) for done in transcript if "-X POST" in done.commands)
    job = process_stack.job(submitted)
    assert (job["state"], job["model"]["name"]) == ("succeeded", submitted["request"]["model_name"])
    (followed,) = (done.output for done in transcript if "/logs" in done.commands)
    assert '"state":"succeeded"' in followed
    assert process_stack.job_log(job) in followed


def test_the_output_that_it_shows_is_what_make_demo_prints(transcript: list[Done]) -> None:
    shown = DEMO_OUTPUT.search(README.read_text())
    assert shown, "the README shows no output of make demo"
    printed = [VARIABLE.sub("…", line) for line in transcript[0].output.splitlines()]
    for line in shown[1].splitlines():
        expected = VARIABLE.sub("…", line)
        found = line.strip() == "..." or any(each.startswith(expected) for each in printed)
        assert found, f"make demo does not print {line!r} but:\n{transcript[0].output}"
