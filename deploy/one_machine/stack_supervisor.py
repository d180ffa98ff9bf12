"""Starts the stack's processes, and stays until they end: what deploy.one_machine.stack becomes once it has planned.

It loads neither settings nor store: it runs as long as the stack, and all that it needs to know is decided.
"""

import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn, TextIO

from honcho.manager import Manager
from honcho.printer import Printer

from deploy.one_machine.bound import BoundProcess
from deploy.one_machine.readiness import announce_when_ready

SIGNALLED = (130, 143)  # by Ctrl-C or SIGTERM


@dataclass(frozen=True)
class Part:
    """One process: its command, and the variables of the stack's environment that it does not get."""

    command: str
    withheld: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """What the supervisor has to know."""

    folder: str
    environment: Mapping[str, str]
    parts: Mapping[str, Part]
    with_names: bool  # before each line: that of the process
    urls: Mapping[str, str]
    welcome: str
    chosen_file: str  # where the doctor finds what was chosen, for as long as that holds
    chosen: Mapping[str, str]
    runner: str
    network: str  # to be removed at the end; "" where none is ours

    def environment_of(self, name: str) -> dict[str, str]:
        """Return what this process gets."""
        withheld = set(self.parts[name].withheld)
        return {variable: value for variable, value in self.environment.items() if variable not in withheld}


class Supervisor(Manager):  # type: ignore[misc]
    """honcho's, with a thread in the place of each process that it has to read another one's output: 17 MB each.

    ``beside``: what runs in a thread of its own once all have been started.
    """

    def __init__(self, printer: Printer, beside: Callable[[], None]) -> None:
        super().__init__(printer)
        self._process_ctor = BoundProcess  # there is no public way to either
        self.events: SimpleQueue[Any] = SimpleQueue()
        self._beside = beside

    def _start(self) -> None:
        """Start all before the first thread: a process that forks others had better have none."""
        processes = [each["obj"] for each in self._processes.values()]
        for process in processes:
            process.begin(self.events)
        for each in (*(process.follow for process in processes), self._beside):
            threading.Thread(target=each, daemon=True).start()


def become_supervisor(supervised: Supervised, environment: Mapping[str, str], kept: TextIO) -> NoReturn:
    """Become it, with the environment that this process was given and the lock of the open file.

    The plan contains secrets. It goes by a file that has no name.
    """
    plan = _unnamed_file()
    os.write(plan, json.dumps(asdict(supervised)).encode())
    os.lseek(plan, 0, os.SEEK_SET)
    for descriptor in (plan, kept.fileno()):
        os.set_inheritable(descriptor, True)
    arguments = [sys.executable, "-m", "deploy.one_machine.stack_supervisor", str(plan), str(kept.fileno())]
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - no shell


def _unnamed_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("plan")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read_plan(descriptor: int) -> Supervised:
    """Return what `become_supervisor` has left there."""
    with os.fdopen(descriptor) as file:
        told = json.load(file)
    return Supervised(**{**told, "parts": {name: Part(**part) for name, part in told["parts"].items()}})


def supervise(supervised: Supervised) -> int:
    """Run the stack until it is told to stop; its exit code."""
    announce = partial(announce_when_ready, supervised.urls, supervised.welcome)
    supervisor = Supervisor(Printer(sys.stdout, prefix=supervised.with_names), announce)
    for name, part in supervised.parts.items():
        supervisor.add_process(name, part.command, env=supervised.environment_of(name), cwd=supervised.folder)
    with chosen_settings_kept(Path(supervised.chosen_file), supervised.chosen):
        supervisor.loop()
    if supervised.network:
        _remove_network(supervised)
    if supervisor.returncode not in SIGNALLED:
        print("\nA process ended by itself (its last lines above say why), so all were stopped.", flush=True)
    return 0 if supervisor.returncode in SIGNALLED else supervisor.returncode or 1


@contextmanager
def chosen_settings_kept(file: Path, chosen: Mapping[str, str]) -> Iterator[None]:
    """Let the doctor, which is started by itself, find what was decided here for as long as it holds."""
    file.write_text(json.dumps(dict(chosen)))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _remove_network(supervised: Supervised) -> None:
    from worker.runners.registry import RUNNERS  # noqa: PLC0415 - 40 MB that only the end needs

    network = RUNNERS.load(supervised.runner).find_network(supervised.network)
    if network is not None:
        network.remove_unused(supervised.environment)


if __name__ == "__main__":
    os.set_inheritable(int(sys.argv[2]), False)  # the lock is this process's, and not that of its children
    sys.exit(supervise(read_plan(int(sys.argv[1]))))
