"""Looks 50 times a second at what every process of this machine has in its arguments and its environment.

A process that begins and ends between two looks goes unseen.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from tests.acceptance.support.leaks import Secret

EVERY_SECONDS = 0.02
LEAST_LOOKS_A_SECOND = 15  # also where tests share two cores with others; idle, it is 50
MOST_BYTES = 1 << 20
ROLES = {
    "postgres": "postgres",
    "azurite": "azurite",
    "-m worker": "worker",
    "-m api": "api",
    "flower": "flower",
    "mlflow_guard": "guard",
    "mlflow": "mlflow",
    "valkey": "redis",
    "redis": "redis",
    "one_machine.stack": "stack",
    "git": "git",
}


class ProcessSampler:
    """Which secret was seen where. A process is read again in each look, since it may have become another program."""

    def __init__(self, watched: Mapping[str, Secret]) -> None:
        self.watched = dict(watched)
        self.arguments: dict[str, set[str]] = defaultdict(set)
        self.environments: dict[str, set[str]] = defaultdict(set)
        self._looked_at: list[float] = []
        self._seen: set[tuple[bytes, bytes]] = set()
        self._own = str(os.getpid())
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_until, daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join()

    @property
    def looks_a_second(self) -> float:
        """How many there really were."""
        return (len(self._looked_at) - 1) / (self._looked_at[-1] - self._looked_at[0])

    @property
    def report(self) -> str:
        """The true rate, in words."""
        pauses = [after - before for before, after in pairwise(self._looked_at)]
        late = sum(each > 2 * EVERY_SECONDS for each in pauses)
        return (
            f"{self.looks_a_second:.1f} looks a second at every process, for {sum(pauses):.0f} s; {late} of "
            f"{len(pauses)} came more than {2 * EVERY_SECONDS:g} s after the one before, the latest {max(pauses):.2f} s"
        )

    def unexpected(self, allowed: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Return the programs that had a secret in their environment without a reason."""
        found = {name: programs - allowed.get(name, set()) for name, programs in self.environments.items()}
        return {name: programs for name, programs in found.items() if programs}

    def _look_until(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(due - time.monotonic()):
            self._looked_at.append(time.monotonic())
            self._look()
            due = max(due + EVERY_SECONDS, time.monotonic())  # what is late is not made up for by looks in a row

    def _look(self) -> None:
        for name in os.listdir("/proc"):
            if name.isdigit() and name != self._own:
                self._look_at(f"/proc/{name}")

    def _look_at(self, folder: str) -> None:
        line, variables = _read(f"{folder}/cmdline"), _read(f"{folder}/environ")
        if not line or (line, variables) in self._seen:  # without a line it is ending, and has no name to judge it by
            return
        if _read(f"{folder}/cmdline") != line:  # it became another program in between: whose variables are these?
            return
        self._seen.add((line, variables))
        for content, found in ((line, self.arguments), (variables, self.environments)):
            for name, secret in self.watched.items():
                if secret.is_in(content):
                    found[name].add(role_of(line))


def _read(file: str) -> bytes:
    """Return what it holds; nothing for a process that has ended, or is another user's."""
    try:
        opened = os.open(file, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return b"".join(iter(lambda: os.read(opened, MOST_BYTES), b""))
    except OSError:
        return b""
    finally:
        os.close(opened)


def role_of(line: bytes) -> str:
    """Return which part of the stack a command line is of."""
    words = line.replace(b"\0", b" ").decode(errors="replace")
    first = Path(words.split(" ")[0]).name if words.split() else ""
    if first in ("sh", "bash", "dash"):
        return "git" if "exec git" in words else "shell"
    if first.startswith("git"):
        return "git"
    return next((role for text, role in ROLES.items() if text in words), words[:60])
