"""The guard before MLflow as a process of its own, as make up and compose start it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.one_machine.ports import is_taken
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
STOP_SECONDS = 10


@dataclass(frozen=True)
class RunningGuard:
    """Where trainings would ask, and the process that answers."""

    url: str
    pid: int


@contextmanager
def running_guard(tracking_uri: str, **settings: str) -> Iterator[RunningGuard]:
    """Yield a guard before this server; ``settings`` are environment variables."""
    port = free_port()
    ours = {"MLFLOW_TRACKING_URI": tracking_uri, "TRACKING_GUARD_URI": f"http://guard:{port}", "DATA_DIR": os.devnull}
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.mlflow_guard", "127.0.0.1"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **ours, **settings},
    )
    try:
        wait_until(lambda: is_taken(port), timeout_seconds=30, what="the guard")
        yield RunningGuard(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
