"""A runner under test with what it started: the fake, ours, or one of another distribution, by the same words."""

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.settings import Settings
from tests.fakes.runner import FakeRunner, Script
from tests.support.engines import docker_or_skip
from tests.support.waiting import wait_until
from worker.runners.docker.runner import DockerRunner
from worker.runners.process.runner import ProcessRunner
from worker.runners.registry import RUNNERS
from worker.runners.seam import LOG_BOUNDS, AttemptSpec, Exit, Handle, LogBounds, Runner

REAL_KINDS = os.environ.get("CONTRACT_RUNNERS", "process,docker").split(",")  # that run commands
KINDS = REAL_KINDS if "CONTRACT_RUNNERS" in os.environ else ["fake", *REAL_KINDS]
IMAGE = "python:3.11-slim"
HOST_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "REDIS_URL": "redis://secret"}
HANDLES_SIGTERM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), sys.exit({code})))
print("ready", flush=True)
time.sleep(60)
"""


@dataclass
class Bench:
    """One runner under test, and what it started."""

    runner: Runner
    restarted: Callable[[], Runner]
    source: Path
    opened: list[DockerRunner] = field(default_factory=list)

    def spec(self, command: str, **fields: Any) -> AttemptSpec:
        return AttemptSpec(
            job_id=secrets.token_hex(6), attempt=1, image=IMAGE, command=command, source=self.source, **fields
        )

    def start(self, command: str, script: Script | None = None, **fields: Any) -> Handle:
        return self.start_spec(self.spec(command, **fields), script)

    def start_spec(self, spec: AttemptSpec, script: Script | None = None) -> Handle:
        if isinstance(self.runner, FakeRunner):
            self.runner.plan = script or Script()
        return self.runner.start_or_attach(spec)

    def wait(self, handle: Handle, *, runner: Runner | None = None) -> Exit:
        found = wait_until(lambda: (runner or self.runner).poll(handle), what=f"the end of {handle.name}")
        assert found is not None
        return found

    def log(self, handle: Handle, offset: int = 0, *, runner: Runner | None = None) -> bytes:
        """Read the rest of an ended attempt's log as a supervisor does."""
        log = b""
        while data := (runner or self.runner).read_log(handle, offset + len(log)):
            log += data
        return log

    def run(self, command: str, script: Script | None = None, **fields: Any) -> tuple[int, str]:
        handle = self.start(command, script, **fields)
        return self.wait(handle).exit_code, self.log(handle).decode()

    def wait_for_log(self, handle: Handle, text: bytes) -> bytes:
        log = bytearray()

        def seen() -> bool:
            self.runner.poll(handle)
            log.extend(self.runner.read_log(handle, len(log)))
            return text in log

        wait_until(seen, what=f"{text!r} in the log of {handle.name}")
        return bytes(log)


def _docker_bench(source: Path, log_bounds: LogBounds) -> Bench:
    docker_or_skip().close()
    host = f"test-{secrets.token_hex(4)}"

    opened: list[DockerRunner] = []

    def runner() -> DockerRunner:
        opened.append(DockerRunner(os.environ, host=host, log_bounds=log_bounds))
        return opened[-1]

    return Bench(runner(), runner, source, opened)


def _process_bench(source: Path, state_folder: Path, log_bounds: LogBounds) -> Bench:
    def runner() -> ProcessRunner:
        return ProcessRunner(state_folder, python=Path(sys.executable), base_env=HOST_ENV, log_bounds=log_bounds)

    return Bench(runner(), runner, source)


def _fake_bench(source: Path, log_bounds: LogBounds) -> Bench:
    runner = FakeRunner(log_bounds=log_bounds)
    return Bench(runner, runner.restarted, source)


def _registered_bench(kind: str, source: Path, folder: Path, log_bounds: LogBounds) -> Bench:
    """Make one as a worker does: from its settings, by the registry."""
    kept, flood = log_bounds.kept_bytes, log_bounds.flood_bytes // log_bounds.kept_bytes
    settings = Settings.load(_env_file=None, runner=kind, data_dir=folder, log_limit_bytes=kept, log_flood_factor=flood)

    def runner() -> Runner:
        return RUNNERS.load(kind).from_settings(settings, HOST_ENV)

    return Bench(runner(), runner, source)


def open_bench(kind: str, folder: Path, log_bounds: LogBounds = LOG_BOUNDS) -> Iterator[Bench]:
    """Yield one of its kind; what it started is removed afterwards."""
    source = folder / "source"
    source.mkdir()
    match kind:
        case "docker":
            bench = _docker_bench(source, log_bounds)
        case "process":
            bench = _process_bench(source, folder / "state", log_bounds)
        case "fake":
            bench = _fake_bench(source, log_bounds)
        case _:
            bench = _registered_bench(kind, source, folder / "state", log_bounds)
    yield bench
    for handle in bench.runner.list_mine():
        bench.runner.remove(handle)
    for runner in bench.opened:
        runner.close()
