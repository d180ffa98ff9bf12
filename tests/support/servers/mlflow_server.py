"""A real MLflow server on SQLite, as lean as the one that development runs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from cryptography.fernet import Fernet

from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

START_SECONDS = 120
STOP_SECONDS = 10
NAMES = ("localhost", "127.0.0.1", "host.docker.internal")
WEBHOOKS = {  # to an API on this machine, and at once
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "0",
}
OFF = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONWARNINGS": "ignore"}


@dataclass
class MlflowServer:
    """A server that a test may stop and start; port and data stay the same. ``known_as``: more names of its machine."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    known_as: Sequence[str] = ()
    module: str = "mlflow"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "mlflow-server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, "server", *self._options()],
                cwd=self.folder,
                env=_without_mlflow(os.environ) | OFF | WEBHOOKS,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that its worker processes end with it
            )
        wait_until(self.answers, timeout_seconds=START_SECONDS, every_seconds=0.1, what="MLflow's /health")

    def stop(self) -> None:
        """Stop it and its workers; what was written stays."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def answers(self) -> bool:
        """Whether it answers /health."""
        assert self._process is None or self._process.poll() is None, (self.folder / "mlflow-server.log").read_text()
        return answers(self.url)

    def _options(self) -> list[str]:
        hosts = [f"{name}:{self.port}" for name in (*NAMES, *self.known_as)]
        return [
            *("--host", self.host, "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")),
            *("--allowed-hosts", ",".join(hosts)),
        ]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def answers(url: str) -> bool:
    """Whether a server there answers /health."""
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


@contextmanager
def started_mlflow_server(folder: Path, host: str = "127.0.0.1") -> Iterator[MlflowServer]:
    """Yield a server that answers and keeps its data in the folder, and stop it at the end."""
    server = MlflowServer(folder, host)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def running_mlflow_server(folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """The same, for its address alone."""
    with started_mlflow_server(folder, host) as server:
        yield server.url


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the session's MLflow server."""
    with running_mlflow_server(tmp_path_factory.mktemp("mlflow-server")) as url:
        yield url


def _without_mlflow(environment: "os._Environ[str]") -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith("MLFLOW_")}
