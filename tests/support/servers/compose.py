"""The stack of deploy/docker-compose.yml, from a clone of this repository: a project, images and ports of its own."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests

from deploy.make_secrets import fill
from tests.support.engines import docker_or_skip, require
from tests.support.network.ports import free_port
from tests.support.servers.stack import HOST_LABEL, remove_container
from tests.support.waiting import wait_until

BUILT = ("api", "worker", "mlflow", "flower", "firewall")
COMMAND_SECONDS = 850
HTTP_SECONDS = 30
PASSED_ON = ("PATH", "HOME")
SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Compose:
    """A stack of this test; ``settings`` is what its .env says beside what keeps it apart from all others."""

    checkout: Path
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")
    api_port: int = field(default_factory=free_port)
    mlflow_port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def mlflow_url(self) -> str:
        """Where MLflow answers."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def secrets(self) -> Path:
        """The folder of its secrets."""
        return self.folder / "secrets"

    def secret_files(self) -> list[Path]:
        """The files with secrets, those of alert channels too."""
        return [path for path in self.secrets.rglob("*") if path.is_file()]

    @cached_property
    def token(self) -> str:
        """What the API asks for."""
        return (self.secrets / "api_tokens").read_text().split(",")[0]

    def prepare(self, **given: str) -> None:
        """Make the secrets, with those that are given, and .env."""
        fill(self.secrets)
        for name, value in given.items():
            (self.secrets / name).write_text(value)
        ours = {
            "COMPOSE_PROJECT_NAME": self.name,
            "RETRAIN_IMAGE": self.name,
            "TRAINING_NETWORK": f"{self.name}-training",
            "TRAINING_BRIDGE": self.name,
            "WORKER_HOST": self.name,
            "SECRETS_DIR": str(self.secrets),
            "ENV_FILE": str(self.folder / ".env"),
            "DOCKER_GID": str(SOCKET.stat().st_gid),
            "API_PUBLISH": str(self.api_port),
            "MLFLOW_PUBLISH": str(self.mlflow_port),
            "FLOWER_PUBLISH": f"127.0.0.1:{self.flower_port}",
            "MLFLOW_ALLOWED_HOSTS": f"127.0.0.1:{self.mlflow_port}",
        }
        lines = [f"{name}={value}" for name, value in {**ours, **self.settings}.items()]
        (self.folder / ".env").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run docker compose."""
        file = self.checkout / "deploy" / "docker-compose.yml"
        done = subprocess.run(
            ["docker", "compose", "--file", str(file), "--env-file", str(self.folder / ".env"), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{' '.join(arguments)}: {done.stdout}{done.stderr}\n{self.log()}"
        return done

    def make(self, target: str, *arguments: str) -> str:
        """Run a target of the Makefile on it; what it says."""
        done = subprocess.run(
            ["make", target, *arguments],
            cwd=self.checkout / "deploy",  # where operators are
            env={**self.environment, "COMPOSE_ENV_FILES": str(self.folder / ".env")},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"make {target}: {done.stdout}{done.stderr}\n{self.log()}"
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the tests' own settings reaches it."""
        return {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("DOCKER_")}

    def log(self) -> str:
        """The last lines of all services."""
        return self.run("logs", "--no-color", "--tail", "30", check=False).stdout[-8000:]

    def services(self) -> dict[str, dict[str, Any]]:
        """What runs, and what has ended, by service."""
        lines = self.run("ps", "--all", "--format", "json").stdout.splitlines()
        return {each["Service"]: each for each in map(json.loads, lines)}

    def python(self, service: str, code: str) -> str:
        """Run Python in a service's container."""
        return self.run("exec", "-T", service, "python", "-c", code).stdout.strip()

    def sql(self, database: str, statement: str) -> str:
        """Ask its PostgreSQL."""
        psql = ("psql", "--username", "postgres", "--dbname", database, "--no-align", "--tuples-only")
        return self.run("exec", "-T", "postgres", *psql, "--command", statement).stdout.strip()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST to the API; what it says."""
        answer = requests.post(f"{self.api_url}{path}", json=body, headers=self.headers, timeout=HTTP_SECONDS)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def get(self, path: str) -> requests.Response:
        """GET a path of the API."""
        answer = requests.get(f"{self.api_url}{path}", headers=self.headers, timeout=HTTP_SECONDS)
        assert answer.ok, answer.text
        return answer

    @property
    def headers(self) -> dict[str, str]:
        """What lets a request in."""
        return {"Authorization": f"Bearer {self.token}"}

    def wait(self, job: Mapping[str, Any], *states: str, timeout_seconds: float = 120) -> dict[str, Any]:
        """The job, when it is in one of these states or has ended."""
        seen: dict[str, Any] = {}

        def is_so() -> bool:
            seen.update(self.get(f"/jobs/{job['id']}").json())
            return seen["state"] in states or bool(seen["ended_at"])

        try:
            wait_until(is_so, timeout_seconds=timeout_seconds, every_seconds=0.2, what=f"{states or 'an end'}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(seen, indent=1)}\n{self.log()}") from None
        return seen

    def training(self) -> list[Any]:
        """The training containers that it has."""
        client = docker_or_skip()
        try:
            return client.containers.list(all=True, filters={"label": f"{HOST_LABEL}={self.name}"})
        finally:
            client.close()

    def clean(self) -> None:
        """Leave nothing: no container, network, volume or image."""
        self.run("stop", "--timeout", "1", "worker", check=False)  # which might start one more container
        for container in self.training():
            remove_container(container)
        done = self.run("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)
        sys.stdout.write(done.stderr if done.returncode else "")
        client = docker_or_skip()
        try:
            for image in client.images.list(filters={"reference": f"{self.name}-*"}):
                client.images.remove(str(image.id), force=True)
        finally:
            client.close()


@contextmanager
def compose_stack(checkout: Path, folder: Path, settings: Mapping[str, str], **given: str) -> Iterator[Compose]:
    """Yield a stack that was built and is prepared, and not up yet."""
    docker_or_skip().close()
    found = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    require(found.returncode == 0, "docker compose")
    stack = Compose(checkout, folder, settings)
    folder.mkdir()
    stack.prepare(**given)
    try:
        stack.run("build", "--quiet")
        yield stack
    finally:
        stack.clean()
