"""Processes that end with their supervisor, even when that is killed. Linux only: other systems offer no such thing."""

import ctypes
import signal
import sys
from functools import partial
from typing import Any

from honcho.process import Popen, Process

PR_SET_PDEATHSIG = 1


class BoundProcess(Process):  # type: ignore[misc]
    """One of the supervisor's processes. honcho has a process of its own between the two, which reads the output."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._child_ctor = partial(Popen, preexec_fn=partial(end_with_parent, signal.SIGTERM))

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Run the command to its end."""
        end_with_parent(signal.SIGKILL)  # the reader is to ignore the others
        super().run(events, ignore_signals)


def end_with_parent(number: signal.Signals) -> None:
    """Have this process, and what it becomes by exec, get the signal when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
