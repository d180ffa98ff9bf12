"""Processes that end with their supervisor, even when that is killed. Linux only: other systems offer no such thing."""

import ctypes
import queue
import signal
import sys
import threading
from functools import partial
from typing import Any

from honcho.manager import Manager
from honcho.process import Popen, Process

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded before there are threads: between fork and exec it would be too late


class BoundManager(Manager):  # type: ignore[misc]
    """honcho's manager, which reads each process's output in a thread, not in a process of 15 MB."""

    def __init__(self, printer: Any) -> None:
        super().__init__(printer)
        self.events: queue.Queue[Any] = queue.Queue()
        self._process_ctor = BoundProcess  # there is no public way

    def _start(self) -> None:
        # By the main thread, because to Linux the parent is a thread, and the others end.
        for each in self._processes.values():
            each["obj"].start()
        for name, each in self._processes.items():
            each["process"] = threading.Thread(target=each["obj"].run, args=(self.events,), name=name, daemon=True)
            each["process"].start()


class BoundProcess(Process):  # type: ignore[misc]
    """One of the supervisor's processes."""

    def start(self) -> None:
        """Start the command; `run` then reads what it prints until it ends."""
        child = Popen(self.cmd, env=self.env, cwd=self.cwd, preexec_fn=partial(end_with_parent, signal.SIGTERM))
        self._child_ctor = lambda _command, **_options: child


def end_with_parent(number: signal.Signals) -> None:
    """Have this process, and what it becomes by exec, get the signal when the one that started it is gone."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, number)
