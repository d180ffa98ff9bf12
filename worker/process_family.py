"""The processes of an attempt that the process runner started: which they are, and how they are ended."""

import logging
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

KILL_SECONDS = 10
POLL_SECONDS = 0.02

logger = logging.getLogger(__name__)


def descendants(launcher: psutil.Process) -> list[psutil.Process]:
    """What the launcher started, and what that started."""
    with suppress(psutil.Error):
        return launcher.children(recursive=True)
    return []


def kill(process: psutil.Process) -> None:
    """SIGKILL, unless it has ended."""
    with suppress(psutil.Error):
        process.kill()


def signal_group(group: int, signal_number: signal.Signals) -> None:
    """Send a signal to a process group, unless it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal_number)


def end_what_is_left(folder: Path, *, session: str) -> None:
    """Kill what runs on without the attempt's launcher, or out of its reach; again, for what is started meanwhile."""
    deadline = time.monotonic() + KILL_SECONDS
    while left := [each for each in psutil.process_iter() if _is_part(each, folder, session)]:
        if time.monotonic() > deadline:
            logger.error("processes left", extra={"name": folder.name, "pids": [each.pid for each in left]})
            return
        for process in left:
            kill(process)
        time.sleep(POLL_SECONDS)


def _is_part(process: psutil.Process, folder: Path, session: str) -> bool:
    try:
        if process.uids().effective != os.geteuid() or process.status() == psutil.STATUS_ZOMBIE:
            return False
        env = process.environ()
        if f"retrain-{env.get('RETRAIN_JOB_ID')}-{env.get('RETRAIN_ATTEMPT')}" == folder.name:
            return True
        # A session's id alone says little: once all in it have ended, the number is given to others.
        in_session = str(os.getsid(process.pid)) == session and folder in Path(process.cwd()).parents
        return in_session or env.get("TMPDIR") == str(folder / "tmp")
    except (psutil.Error, OSError):  # it has ended
        return False
