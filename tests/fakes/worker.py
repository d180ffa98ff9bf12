"""A worker's parts, put together on fakes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from shared.addresses.git_uri import Credentials
from shared.jobs.model import Job
from shared.requests.retrain_request import RetrainRequest
from shared.scheduling.hosts import Machine
from shared.scheduling.limits import Limits
from shared.secrets.vault import JobSecrets, Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.runner import FakeHost, FakeRunner
from tests.fakes.source import FakeSource
from tests.fakes.store import MemoryStore
from tests.fakes.tracking import FakeTracking
from tests.support.jobs import HOST, new_job
from worker.composition import Outside, Running, build
from worker.host.disk import DiskGuard
from worker.runners.seam import Exit, Handle

TOKEN = "ghp_s3cret"
LEASE_SECONDS = 3


class Clock:
    """The database's clock: the machine's, shifted as the test says."""

    def __init__(self) -> None:
        self.shift_seconds = 0.0

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.shift_seconds)


class HookedRunner(FakeRunner):
    """A FakeRunner that calls ``before_poll`` with the number of each poll, from 1."""

    before_poll: Callable[[int], None] = staticmethod(lambda _number: None)
    polls = 0

    def poll(self, handle: Handle) -> Exit | None:
        """Poll, after the hook."""
        self.polls += 1
        self.before_poll(self.polls)
        return super().poll(handle)


@dataclass
class FakeWorker:
    """One worker process; ``restarted`` is the next one on the same host."""

    folder: Path
    clock: Clock
    store: MemoryStore
    key: bytes = field(default_factory=Fernet.generate_key)
    host: FakeHost = field(default_factory=FakeHost)
    tracking: FakeTracking = field(default_factory=FakeTracking)
    options: dict[str, Any] = field(default_factory=dict)
    machine: Machine | None = None
    aside: Callable[[Callable[[], None]], None] = lambda work: work()

    @classmethod
    def new(cls, folder: Path, **options: Any) -> "FakeWorker":
        """A worker with an empty store; ``options`` are settings."""
        clock = Clock()
        return cls(folder, clock, MemoryStore(clock=clock, limits=Limits(per_key=10)), options=options)

    def __post_init__(self) -> None:
        usual = {
            "worker_host": HOST,
            "lease_seconds": LEASE_SECONDS,
            "retry_initial_delay_seconds": 0,
            "mlflow_tracking_password": "mlflow-pass",
        }
        self.settings = Settings.load(_env_file=None, data_dir=self.folder, **{**usual, **self.options})
        self.queue, self.stopping = RecordingQueue(), threading.Event()
        self.source, self.runner = FakeSource(self.folder), HookedRunner(host=self.host)
        self.vault, self.reported = Vault(self.key), list[Job]()
        self.disk = DiskGuard(lambda: [self.folder], low_bytes=0, source=self.source, runner=self.runner)
        outside = Outside(
            store=self.store,
            queue=self.queue,
            runner=self.runner,
            source=self.source,
            tracking=self.tracking,
            vault=self.vault,
            disk=self.disk,
            report=self.reported.append,
            environment={"REGION": "eu"},
            machine=self.machine,
        )
        parts = build(self.settings, outside, Running(stopping=self.stopping, aside=self.aside))
        self.here, self.preparation, self.finishing = parts.here, parts.preparation, parts.finishing
        self.supervisor, self.heartbeat, self.sweep = parts.supervisor, parts.heartbeat, parts.sweep
        self.looking, self.triggers, self.cards = parts.looking, parts.triggers, parts.cards
        self.tasks, self.active = parts.tasks, parts.tasks.active

    def restarted(self, **changes: Any) -> "FakeWorker":
        """The worker that was started after this one."""
        return replace(self, **changes)

    def submit(self, *, token: str | None = None, job: dict[str, Any] | None = None, **request: Any) -> str:
        """Submit a job, with credentials if there is a token."""
        iris = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git"}
        body = RetrainRequest(**{**iris, **request})
        secrets = JobSecrets(Credentials("https://git.example", "robot", token) if token else None)
        secret = self.vault.seal(secrets)
        new = new_job(**{"request": body.as_record(), "secret": secret, **(job or {})})
        return self.store.submit(new).job.id

    def run(self, job_id: str) -> Job | None:
        """What the Celery task does with a message."""
        return self.tasks.run(job_id)

    def turn(self, *, reconcile: bool) -> None:
        """One sign of life and one sweep."""
        self.heartbeat.beat()
        self.sweep.once(reconcile=reconcile)

    def log(self, job_id: str, attempt: int = 1) -> bytes:
        """What is kept of an attempt's output."""
        return self.store.read_log(job_id, attempt=attempt, offset=0, limit=10**9).data
