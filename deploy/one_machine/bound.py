"""Processes that end with their supervisor, even when that is killed. Linux only: other systems offer no such thing."""

import ctypes
import signal
import sys
from functools import partial
from typing import Any

from honcho.process import Popen, Process

PR_SET_PDEATHSIG = 1


class BoundProcess(Process):  # type: ignore[misc]
    """One of the supervisor's processes. honcho starts and follows it in one call, in a process of its own."""

    def begin(self, events: Any) -> None:
        """Start it. Call this in the main thread: it ends with the thread that has started it."""
        self._events = events
        self._child = Popen(self.cmd, env=self.env, cwd=self.cwd, preexec_fn=partial(end_with_parent, signal.SIGTERM))
        self._send_message({"pid": self._child.pid}, type="start")

    def follow(self) -> None:
        """Pass its output on until it ends, and tell how."""
        for line in self._child.stdout:
            self._send_message(line)
        self._child.stdout.close()
        self._send_message({"returncode": self._child.wait()}, type="stop")


def end_with_parent(number: signal.Signals) -> None:
    """Have this process, and what it becomes by exec, get the signal when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
