"""Looks 50 times a second at what every process of this machine has in its arguments and its environment."""

import os
import threading
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.support.leaks import Secret

EVERY_SECONDS = 0.02
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
        self.samples = 0
        self._seen: set[tuple[str, bytes]] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look_until, daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join()

    def unexpected(self, allowed: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Return the programs that had a secret in their environment without a reason."""
        found = {name: programs - allowed.get(name, set()) for name, programs in self.environments.items()}
        return {name: programs for name, programs in found.items() if programs}

    def _look_until(self) -> None:
        while not self._stopped.wait(EVERY_SECONDS):
            self.samples += 1
            for folder in Path("/proc").glob("[0-9]*"):
                if folder.name != str(os.getpid()):
                    self._look_at(folder)

    def _look_at(self, folder: Path) -> None:
        try:
            line, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            return
        if not line:  # it is becoming another program, or ending, and has no name to judge it by
            return
        for content, found in ((line, self.arguments), (variables, self.environments)):
            if (role_of(line), content) in self._seen:
                continue
            self._seen.add((role_of(line), content))
            for name, secret in self.watched.items():
                if secret.is_in(content):
                    found[name].add(role_of(line))


def role_of(line: bytes) -> str:
    """Return which part of the stack a command line is of."""
    words = line.replace(b"\0", b" ").decode(errors="replace")
    first = Path(words.split(" ")[0]).name if words.split() else ""
    if first in ("sh", "bash", "dash"):
        return "git" if "exec git" in words else "shell"
    if first.startswith("git"):
        return "git"
    return next((role for text, role in ROLES.items() if text in words), words[:60])
