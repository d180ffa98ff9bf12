"""Finds, pauses and ends the processes of an attempt that the process runner started."""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from mypackage.protocol import ATTEMPT_VARIABLE, JOB_VARIABLE
from worker.runners.process.failures import not_started
from worker.runners.seam import AttemptSpec, Handle

LAUNCH_SECONDS = 30
KILL_SECONDS = 10
FREEZE_SECONDS = 10
POLL_SECONDS = 0.02  # between looks at the process
STILL = frozenset({psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD})

logger = logging.getLogger(__name__)


def descendants(launcher: psutil.Process) -> list[psutil.Process]:
    """Return the launcher's children, and theirs."""
    with suppress(psutil.Error):
        return launcher.children(recursive=True)
    return []


def kill(process: psutil.Process) -> None:
    """Send SIGKILL, unless it has ended."""
    with suppress(psutil.Error):
        process.kill()


def freeze(launcher: psutil.Process, folder: Path, *, session: str) -> None:
    """Send SIGSTOP to all of an attempt's processes, repeatedly, because they may have started others meanwhile."""
    deadline = time.monotonic() + FREEZE_SECONDS
    while going := [each for each in _family(launcher, folder, session) if not _is_still(each)]:
        if time.monotonic() > deadline:  # a process that waits for a disk stops once that has answered
            logger.warning("not paused yet", extra={"container": folder.name, "pids": [each.pid for each in going]})
            return
        for process in going:
            with suppress(psutil.Error):
                process.suspend()
        time.sleep(POLL_SECONDS)


def thaw(launcher: psutil.Process, folder: Path, *, session: str) -> None:
    """Send SIGCONT to all of an attempt's processes; it does nothing to a running one."""
    for process in _family(launcher, folder, session):
        with suppress(psutil.Error):
            process.resume()


def signal_group(group: int, signal_number: signal.Signals) -> None:
    """Send a signal to a process group, unless it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal_number)


def end_what_is_left(folder: Path, *, session: str) -> None:
    """Kill what outlived the launcher or left its reach, repeatedly, because more may be started meanwhile."""
    deadline = time.monotonic() + KILL_SECONDS
    while left := _parts(folder, session):
        if time.monotonic() > deadline:
            logger.error("processes left", extra={"container": folder.name, "pids": [each.pid for each in left]})
            return
        for process in left:
            kill(process)
        time.sleep(POLL_SECONDS)


def _family(launcher: psutil.Process, folder: Path, session: str) -> set[psutil.Process]:
    return {launcher, *descendants(launcher), *_parts(folder, session)}


def _parts(folder: Path, session: str) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _is_part(each, folder, session)]


def _is_still(process: psutil.Process) -> bool:
    try:
        return process.status() in STILL
    except psutil.Error:  # it has ended
        return True


def _is_part(process: psutil.Process, folder: Path, session: str) -> bool:
    try:
        if process.uids().effective != os.geteuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        env = process.environ()
        if f"retrain-{env.get(JOB_VARIABLE)}-{env.get(ATTEMPT_VARIABLE)}" == folder.name:
            return True
        # A session's id alone says little: once all its processes have ended, the number is reused.
        in_session = str(os.getsid(process.pid)) == session and folder in Path(process.cwd()).parents
        return in_session or env.get("TMPDIR") == str(folder / "tmp")
    except (psutil.Error, OSError):  # it has ended
        return False


def await_launch(find: Callable[[], Handle | None], *, spec: AttemptSpec) -> Handle:
    """Return the handle as soon as there is one; InfrastructureError when that takes too long."""
    deadline = time.monotonic() + LAUNCH_SECONDS
    while (handle := find()) is None:
        if time.monotonic() > deadline:
            raise not_started(spec, TimeoutError(f"no sign of the process within {LAUNCH_SECONDS} s"))
        time.sleep(POLL_SECONDS)
    return handle


def find_launcher(folder: Path, handle_id: str) -> psutil.Process | None:
    """Return the running launcher, known by its pid and its command line, which names the attempt.

    The name is never reused, so this recognises a reused pid even where start times cannot: they move when the host's
    clock is set.
    """
    pid = handle_id.partition(":")[0]
    if not pid.isdecimal():
        return None
    try:
        process = psutil.Process(int(pid))
        is_ours = str(folder / "launcher") in process.cmdline()
        return process if is_ours and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None
