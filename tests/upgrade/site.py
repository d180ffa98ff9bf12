"""One service whose programs are of several versions: a job store, Redis and MLflow, APIs, and hosts with workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from shared.sql import SqlStore
from shared.sql.tables import jobs
from tests.drill.parts import KillableMlflow, Part, is_worker_ready
from tests.support.engines import docker_or_skip
from tests.support.network.ports import free_port
from tests.support.servers.stack import HOST_LABEL, processes_of, remove_container
from tests.support.servers.valkey import running_valkey
from tests.support.waiting import wait_until
from tests.upgrade.project import Project
from tests.upgrade.versions import Version

PASSED_ON = ("PATH", "LANG", "USER", "VIRTUAL_ENV", "DOCKER_HOST")
HTTP_SECONDS = 30
MIGRATE_SECONDS = 60
END_SECONDS = 60
SETTINGS = {
    "GIT_SCHEMES": "file",
    "SLOTS": "4",
    "LEASE_SECONDS": "3",
    "SWEEP_SECONDS": "0.5",
    "RESEND_AFTER_SECONDS": "2",
    "STOP_GRACE_SECONDS": "2",
    "DISK_LOW_BYTES": "1000",
    "LOG_LIMIT_BYTES": "500000",
}


@dataclass(frozen=True)
class Api:
    """An API of some version."""

    part: Part
    url: str

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            return self.ask("/healthz").ok
        except requests.ConnectionError:
            return False

    def ask(self, path: str) -> requests.Response:
        """GET a path."""
        return requests.get(f"{self.url}{path}", timeout=HTTP_SECONDS)

    def get(self, path: str) -> Any:
        """What a path answers, which must be 200."""
        answer = self.ask(path)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """POST to a path, which must take it."""
        answer = requests.post(f"{self.url}{path}", json=body, timeout=HTTP_SECONDS)
        assert answer.status_code == 202, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def submit(self, request: Mapping[str, Any]) -> str:
        """POST /retrain; the job's id."""
        return str(self.post("/retrain", request)["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """GET /jobs/<id>."""
        return dict(self.get(f"/jobs/{job_id}"))

    def host_of(self, job_id: str) -> str:
        """The host of the job's last attempt."""
        return str(self.job(job_id)["attempts"][-1]["host"])

    def log(self, job_id: str) -> list[str]:
        """The lines of the job's log."""
        return self.ask(f"/jobs/{job_id}/logs").text.splitlines()

    def wait_for(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job, when it is in one of these states."""
        seen: dict[str, Any] = {}

        def is_so() -> bool:
            seen.update(self.job(job_id))
            return seen["state"] in states

        try:
            wait_until(is_so, timeout_seconds=END_SECONDS, every_seconds=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}: a job that is {states}, not {seen}") from None
        return seen

    def wait_for_lines(self, job_ids: Sequence[str], more_than: int = 3) -> None:
        """Wait until each of the jobs has so many more lines in its log."""
        wanted = {job_id: len(self.log(job_id)) + more_than for job_id in job_ids}
        for job_id, number in wanted.items():
            wait_until(lambda: len(self.log(job_id)) >= number, what=f"line {number} of {job_id}")  # noqa: B023


@dataclass
class Site:
    """All parts, and what was started of them."""

    folder: Path
    database_url: str
    redis_url: str
    mlflow: KillableMlflow
    project: Project
    parts: list[Part] = field(default_factory=list)

    def migrate(self, version: Version) -> subprocess.CompletedProcess[str]:
        """Bring the schema up to the version's, as `make migrate` does."""
        return subprocess.run(
            [sys.executable, "-m", "shared.sql.schema"],
            cwd=self.folder,
            env=self._environment(version, "migrate"),
            capture_output=True,
            text=True,
            timeout=MIGRATE_SECONDS,
            check=False,
        )

    def api(self, version: Version) -> Api:
        """A serving API of the version."""
        port = free_port()
        api = Api(self._part(version, "api", "api", API_PORT=str(port)), f"http://127.0.0.1:{port}")
        api.part.find_ready = lambda _part: api.answers()
        api.part.launch()
        api.part.wait_until_ready()
        return api

    def worker(self, version: Version, host: str) -> Part:
        """A worker of the version on that host, which takes messages."""
        worker = self.make_worker(version, host)
        worker.launch()
        worker.wait_until_ready()
        return worker

    def make_worker(self, version: Version, host: str) -> Part:
        """The same, not started."""
        return self._part(version, "worker", host, WORKER_HOST=host, RUNNER=self.project.runner)

    def end_wait(self, job_id: str, *, in_seconds: float) -> None:
        """Let the job's wait before its next attempt end then: what it is left to chance is an upgrade's length."""
        store = SqlStore(self.database_url)
        with store.writing() as transaction:
            at = transaction.now + timedelta(seconds=in_seconds)
            transaction.execute(sa.update(jobs).where(jobs.c.id == job_id).values(next_attempt_at=at))
        store.close()

    def left(self) -> list[str]:
        """What trainings have left on the hosts."""
        kinds = ("processes", "scratch", "work")
        folders = [str(path) for kind in kinds for path in self.folder.glob(f"data-*/{kind}/*/*")]
        return folders + [str(each.name) for each in self._containers()]

    def close(self) -> None:
        """End everything, in whatever state it is."""
        for part in self.parts:
            part.end(signal.SIGKILL)
        for data in self.folder.glob("data-*"):
            for process in processes_of(data):
                process.kill()
        for container in self._containers():
            remove_container(container)
        self.mlflow.stop()

    def _containers(self) -> list[Any]:
        if self.project.runner != "docker":
            return []
        hosts = {part.environment["WORKER_HOST"] for part in self.parts if part.module == "worker"}
        client = docker_or_skip()
        try:
            labels = [f"{HOST_LABEL}={host}" for host in hosts]
            return [each for label in labels for each in client.containers.list(all=True, filters={"label": label})]
        finally:
            client.close()

    def _part(self, version: Version, module: str, place: str, **variables: str) -> Part:
        name = f"{module}-{place}-{version.name}"
        environment = self._environment(version, place) | variables
        part = Part(name, module, self.folder, environment, is_worker_ready)
        self.parts.append(part)
        return part

    def _environment(self, version: Version, place: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        ours = {
            "PYTHONPATH": version.python_path,
            "HOME": str(self.folder / "home"),
            "DATA_DIR": str(self.folder / f"data-{place}"),
            "SECRET_KEY_FILE": str(self.folder / "secret.key"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "MLFLOW_TRACKING_URI": self.mlflow.url,
            "VOLUME_ALLOWLIST": self.project.mount,
        }
        return {**kept, **SETTINGS, **ours}


@contextmanager
def running_site(folder: Path, *, runner: str, database_url: str | None = None) -> Iterator[Site]:
    """A site without a schema and without programs; at the end everything of it is gone."""
    for name in ("home", "mlflow"):
        (folder / name).mkdir(parents=True)
    project = Project(folder, runner)
    project.make()
    url = database_url or f"sqlite:///{folder / 'jobs.db'}"
    with running_valkey() as valkey:
        site = Site(folder, url, valkey.url, KillableMlflow(folder / "mlflow"), project)
        try:
            site.mlflow.start()
            yield site
        finally:
            site.close()
