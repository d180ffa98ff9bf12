"""The processes of the drill's stack that are ours: each can be killed at any moment and started anew."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

START_SECONDS = 60
STOP_SECONDS = 10  # what is being prepared gets half of it
WORKER_READY = "ready."


@dataclass
class Part:
    """One of our programs, `python -m module arguments`, in a process group of its own."""

    name: str
    module: str
    folder: Path
    environment: Mapping[str, str]
    find_ready: Callable[["Part"], bool]
    arguments: Sequence[str] = ()
    starts: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def log(self) -> str:
        """What it has printed since its first start."""
        file = self.folder / f"{self.name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def log_of_this_start(self) -> str:
        """What it has printed since its last start."""
        return self.log.rpartition(self._mark)[2]

    @property
    def has_died(self) -> bool:
        """Whether it ended without being told to."""
        return self._process is not None and self._process.poll() is not None

    def launch(self) -> None:
        """Start it, without waiting for anything."""
        self.starts += 1
        with (self.folder / f"{self.name}.log").open("ab") as output:
            output.write(self._mark.encode())
            output.flush()
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait until it does its work."""
        wait_until(lambda: self.has_died or self.find_ready(self), timeout_seconds=START_SECONDS, what=self.name)
        assert not self.has_died, f"{self.name} did not start:\n{self.log_of_this_start[-3000:]}"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal that does not end it."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals, *, seconds: float = STOP_SECONDS) -> None:
        """Signal it, all of its processes where the signal kills, and wait for its end."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            (os.killpg if number is signal.SIGKILL else os.kill)(process.pid, number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(seconds)
            raise AssertionError(f"{self.name} runs on {seconds} s after {number.name}:\n{self.log[-3000:]}") from None

    @property
    def _mark(self) -> str:
        return f"==== start {self.starts} of {self.name}\n"


def is_worker_ready(part: Part) -> bool:
    """Whether a worker takes messages."""
    return WORKER_READY in part.log_of_this_start


class KillableMlflow(MlflowServer):
    """An MLflow server that can be killed and frozen."""

    def kill(self) -> None:
        """SIGKILL to it and its workers."""
        self._signal(signal.SIGKILL)
        self.stop()

    def signal(self, number: signal.Signals) -> None:
        """Send it and its workers a signal."""
        self._signal(number)


class KillableValkey(Valkey):
    """A Valkey server that can be killed and frozen."""

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)
        self.stop()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)
