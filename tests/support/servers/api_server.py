"""The API as it is run: `python -m api` in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from shared.sql import SqlStore, schema
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
STOP_SECONDS = 15


@dataclass
class ApiServer:
    """A server on a free port, with its data in ``folder``."""

    folder: Path
    variables: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it printed."""
        return (self.folder / "api.log").read_text()

    def launch(self) -> subprocess.Popen[bytes]:
        """Start it; it runs in its own folder, so that no .env of the checkout is read."""
        own = {"PYTHONPATH": str(ROOT), "DATA_DIR": str(self.folder), "API_PORT": str(self.port)}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with (self.folder / "api.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api"], cwd=self.folder, env={**kept, **own, **self.variables}, stderr=log
            )
        return self.process

    def answers(self) -> bool:
        """Whether it serves."""
        assert self.process is None or self.process.poll() is None, self.log
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.ConnectionError:
            return False

    def stop(self) -> None:
        """End it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_SECONDS)


@contextmanager
def running_api(folder: Path, **variables: str) -> Iterator[ApiServer]:
    """A serving API on a new SQLite store."""
    store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
    schema.upgrade(store)
    store.close()
    server = ApiServer(folder, variables)
    try:
        server.launch()
        wait_until(server.answers, what="the API's answer")
        yield server
    finally:
        server.stop()
