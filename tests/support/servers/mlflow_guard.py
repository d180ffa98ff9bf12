"""The guard before MLflow as a process of its own, as make up and compose start it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.one_machine.ports import is_taken
from shared.secrets.attempt_tokens import Grant, issue
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

KEY = "key-of-the-tests"
ROOT = Path(__file__).parents[3]
STOP_SECONDS = 10


@dataclass(frozen=True)
class RunningGuard:
    """Where trainings would ask, and the process that answers; it knows the tokens that KEY signed."""

    url: str
    pid: int


def grant_of(run_id: str, *, job_id: str = "a", model_name: str | None = None, seconds: float = 3600) -> Grant:
    """Return what the token of an attempt of this job says."""
    return Grant(job_id, 1, run_id, "0", model_name, int(time.time() + seconds))


def token_of(run_id: str, *, key: str = KEY, **about: Any) -> str:
    """Return the token of an attempt with this run."""
    return issue(grant_of(run_id, **about), key)


@contextmanager
def running_guard(tracking_uri: str, **settings: str) -> Iterator[RunningGuard]:
    """Yield a guard before this server; ``settings`` are environment variables."""
    port = free_port()
    ours = {"MLFLOW_TRACKING_URI": tracking_uri, "TRACKING_GUARD_URI": f"http://guard:{port}", "DATA_DIR": os.devnull}
    ours["TRACKING_GUARD_KEY"] = KEY
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
