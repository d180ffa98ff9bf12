"""Our own MLflow server, as make up and Compose start it: with trainings' port, where the guard is, beside people's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.network.ports import free_port
from tests.support.servers.mlflow_guard import KEY, ROOT, RunningGuard
from tests.support.servers.mlflow_server import answers
from tests.support.waiting import wait_until

START_SECONDS = 60
STOP_SECONDS = 10


@dataclass(frozen=True)
class OwnMlflow:
    """Where people find it, and where trainings do."""

    url: str
    guard: RunningGuard


@contextmanager
def running_own_mlflow(folder: Path, url: str = "", **settings: str) -> Iterator[OwnMlflow]:
    """Yield the server, with its data in the folder, for people at ``url``; ``settings`` are environment variables."""
    trainings = free_port()
    url = url or f"http://127.0.0.1:{free_port()}"
    ours = {
        "MLFLOW_TRACKING_URI": url,
        "TRACKING_GUARD_URI": f"http://guard:{trainings}",
        "TRACKING_GUARD_KEY": KEY,
        "DATA_DIR": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.mlflow_server", "127.0.0.1"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **ours, **settings},
    )
    try:
        wait_until(lambda: answers(url), timeout_seconds=START_SECONDS, what="our MLflow")
        yield OwnMlflow(url, RunningGuard(f"http://127.0.0.1:{trainings}", process.pid))
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
