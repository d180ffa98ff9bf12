"""A real worker process, `python -m worker`, that trains as plain processes unless told otherwise, and its host."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from celery.result import AsyncResult

from shared.jobs.model import Job, JobState
from shared.queue import CeleryQueue, make_celery
from shared.requests.retrain_request import RetrainRequest
from shared.settings import Settings
from shared.sql import SqlStore, schema
from tests.support.jobs import new_job
from tests.support.servers.stack import processes_of
from tests.support.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[3]
PASSED_ON = ("PATH", "LANG", "USER", "VIRTUAL_ENV")
READY_SECONDS = 60
STOP_SECONDS = 10  # what is being prepared gets half of it
END_SECONDS = 30
LEASE_SECONDS = 3
SETTINGS = {
    "RUNNER": "process",
    "GIT_SCHEMES": "file",
    "LEASE_SECONDS": str(LEASE_SECONDS),
    "SWEEP_SECONDS": "0.5",
    "RESEND_AFTER_SECONDS": "1",
    "RETRY_INITIAL_DELAY_SECONDS": "0",
    "STOP_GRACE_SECONDS": "2",
}


@dataclass
class WorkerProcess:
    """One host's worker; started again it is the next worker on the same host."""

    folder: Path
    redis_url: str
    tracking_uri: str
    options: Mapping[str, str] = field(default_factory=dict)
    database_url: str | None = None  # by default its own SQLite file
    prefix: Sequence[str] = ()  # of its command, such as `ip netns exec NAME`
    host: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:12]}")
    _process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.settings = Settings.load(
            _env_file=None,
            **{name.lower(): value for name, value in (SETTINGS | dict(self.options)).items()},
            data_dir=self.folder / "data",
            database_url=self.database_url or f"sqlite:///{self.folder / 'jobs.db'}",
            redis_url=self.redis_url,
        )
        self.store = SqlStore(self.settings.store_url, limits=self.settings.limits)
        schema.upgrade(self.store)
        self.queue, self.celery = CeleryQueue(self.settings), make_celery(self.settings, with_results=True)

    @property
    def log(self) -> str:
        """What the workers of this host have printed."""
        return (self.folder / "worker.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it and wait until it takes messages."""
        already = self.log.count("ready.") if (self.folder / "worker.log").exists() else 0
        process = self.launch()
        wait_until(
            lambda: self.log.count("ready.") > already or process.poll() is not None,
            timeout_seconds=READY_SECONDS,
            what="a ready worker",
        )
        assert process.poll() is None, self.log

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it."""
        with (self.folder / "worker.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*self.prefix, sys.executable, "-m", "worker"],
                cwd=self.folder,
                env=self._environment(),
                stdout=output,
                stderr=output,
            )
        return self._process

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The last one that was started."""
        assert self._process is not None
        return self._process

    def ended_with(self) -> int:
        """The exit code of a worker that ends by itself soon."""
        return self.process.wait(2 * STOP_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal and expect it to end soon; what trains goes on."""
        assert self._process is not None
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker runs on after {number.name}:\n{self.log[-3000:]}") from None
        assert code == (0 if number is signal.SIGTERM else -number), self.log[-3000:]

    def submit(self, *, send: bool = True, queue: str = "default", **request: Any) -> Job:
        """Record a job, and send it."""
        body = RetrainRequest(experiment_name="tiny", **request)
        seconds = body.timeouts.queue_seconds
        asked = {"request": body.model_dump(mode="json"), "queue": queue, "queue_timeout_seconds": seconds}
        new = new_job(**asked, wanted_host=body.resources.host, wanted_labels=tuple(sorted(body.resources.host_labels)))
        job = self.store.submit(new).job
        if send:
            self.queue.send(job)
        return job

    def ended(self, job: Job, *, seconds: float = END_SECONDS) -> Job:
        """The job, when it has ended."""
        try:
            wait_until(lambda: self.store.get(job.id).state.is_terminal, timeout_seconds=seconds)
        except AssertionError:
            raise AssertionError(f"{self.store.get(job.id)}\n{self.log[-5000:]}") from None
        return self.store.get(job.id)

    def training(self, job: Job) -> psutil.Process:
        """The process that trains the job, when it has printed something."""
        wait_until(lambda: self.output(job), what="output of the training")
        return psutil.Process(int((self.store.get(job.id).attempt.container or "").partition(":")[0]))

    def in_state(self, job: Job, state: JobState, *, attempt: int = 1) -> bool:
        """Whether the job's so-manieth attempt is in that state."""
        now = self.store.get(job.id)
        return now.state is state and len(now.attempts) == attempt

    def output(self, job: Job) -> str:
        """What is kept of the last attempt's output."""
        return self.store.read_log(job.id, attempt=None, offset=0, limit=10**9).data.decode()

    def result(self, job: Job) -> "AsyncResult[Any]":
        """Celery's own result, when there is one."""
        result: AsyncResult[Any] = self.celery.AsyncResult(job.id)
        wait_until(result.ready, timeout_seconds=10, what="Celery's result")
        return result

    def leftovers(self) -> list[Path]:
        """Folders of attempts and sources."""
        kinds = (self.settings.data_dir / kind / self.host for kind in ("processes", "scratch", "work"))
        return [each for kind in kinds if kind.exists() for each in kind.iterdir()]

    def close(self) -> None:
        """End it, and what a failed test has left training."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        for process in processes_of(self.settings.data_dir):
            process.kill()
        self.celery.close()
        self.store.close()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        ours = {
            "PYTHONPATH": str(CHECKOUT),
            "DATA_DIR": str(self.settings.data_dir),
            "DATABASE_URL": self.settings.database_url.get_secret_value(),
            "REDIS_URL": self.redis_url,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "WORKER_HOST": self.host,
        }
        return {**kept, **ours, **SETTINGS, **self.options}


@contextmanager
def on_host(worker: WorkerProcess) -> Iterator[WorkerProcess]:
    """A host whose worker a test starts when it is to; ended with all that it left."""
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def worker_process(folder: Path, *, redis_url: str, tracking_uri: str, **options: str) -> Iterator[WorkerProcess]:
    """A worker that is started, and ended with all that it left."""
    folder.mkdir(parents=True, exist_ok=True)
    with on_host(WorkerProcess(folder, redis_url, tracking_uri, options)) as worker:
        worker.start()
        yield worker
