"""Training on engines that are set up otherwise: everything that a runner promises (LONG=1)."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.acceptance.support.checkout import ROOT
from tests.support.engines import require
from tests.support.length import IS_LONG
from tests.support.runner_bench import IMAGE
from tests.support.servers.docker_engine import own_engine

SECONDS = 900
SUITES = (
    "tests/integration/runners/test_contract.py",
    "tests/integration/runners/test_contract_pause.py",
    "tests/integration/runners/docker/test_confinement_by_setting.py",
)
# Not on these engines: what their set-up itself changes.
LEFT_OUT = "not that_the_engine_does_not_know"
# crun wants control groups of one version; a machine with both hides those of version 2 from the engine.
ONE_VERSION = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec dockerd "$@"'
ENGINES = {
    "user namespaces": (("--userns-remap=default",), ("dockerd",)),
    "crun": (
        (f"--add-runtime=crun={shutil.which('crun')}", "--default-runtime=crun"),
        ("unshare", "--mount", "sh", "-c", ONE_VERSION, "dockerd"),
    ),
}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the user whom root in containers stands for may pass through, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.mark.skipif(not IS_LONG, reason="minutes long: LONG=1")
@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.parametrize(("more", "command"), ENGINES.values(), ids=ENGINES)
def test_on_another_engine_everything_is_as_usual(
    more: Sequence[str], command: Sequence[str], open_folder: Path
) -> None:
    require("None" not in " ".join(more), "crun")
    with own_engine(open_folder, live_restore=False, more=more, command=command) as engine:
        engine.load_image(IMAGE)
        suites = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", LEFT_OUT, *SUITES],
            cwd=ROOT,
            env={**os.environ, "DOCKER_HOST": engine.url, "CONTRACT_RUNNERS": "docker"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert suites.returncode == 0, suites.stdout[-10_000:] + suites.stderr[-2000:]
    assert " passed" in suites.stdout
