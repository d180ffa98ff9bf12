"""Runs attempts as processes on this host, for a laptop or a first try without Docker.

There is no isolation: the project's code runs as the worker's user, in the worker's Python, and can read and do what
that user can. Of the limits, only those of disk and log apply; images, networks and volumes are ignored, and GPUs are
only suggested by a variable. A process outlives its worker.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import psutil

from shared.errors import InfrastructureError
from worker.credentials.pulling import ANYBODY, Pull
from worker.folder_tree import remove_tree, tree_bytes
from worker.interruption import NEVER, Interruption
from worker.runners.gpus import find_gpus
from worker.runners.launch import PROOF, START, start_script
from worker.runners.process import launcher as process_launcher
from worker.runners.process.attempt_files import copy_project, passed_on, write
from worker.runners.process.failures import lost, not_begun, not_started
from worker.runners.process.family import (
    KILL_SECONDS,
    POLL_SECONDS,
    await_launch,
    descendants,
    end_what_is_left,
    find_launcher,
    freeze,
    kill,
    signal_group,
    thaw,
)
from worker.runners.seam import LOG_BOUNDS, AttemptSpec, Capacity, Exit, Handle, Image, Inside, LogBounds

READ_LIMIT_BYTES = 1024 * 1024
KILLED_EXIT_CODE = 128 + signal.SIGKILL
NEVER_LAUNCHED = "never launched"
LAUNCHER = Path(process_launcher.__file__)
GPUS_FILE = "gpus"

logger = logging.getLogger(__name__)


class ProcessRunner:
    """The attempts in one state folder. ``base_env`` is the worker's environment, of which little is passed on."""

    kind = "process"

    def __init__(
        self, state_folder: Path, *, python: Path, base_env: Mapping[str, str], log_bounds: LogBounds = LOG_BOUNDS
    ) -> None:
        self._state_folder = state_folder.resolve()
        self._python = python
        self._log_bounds = log_bounds
        self._env = passed_on(base_env, python)
        self.inside = Inside(has_home="HOME" in self._env, shares_checkout=True)
        self._children: set[int] = set()

    def prepare_image(
        self,
        image: str | None,
        *,
        pinned: str | None = None,
        timeout_seconds: float,
        interruption: Interruption = NEVER,
        pull: Pull = ANYBODY,
    ) -> Image | None:
        """Return None: images are not used here."""
        return None

    def start_or_attach(self, spec: AttemptSpec, interruption: Interruption = NEVER) -> Handle:
        """Start the attempt; if one of its name already exists, attach to it and start nothing."""
        if handle := self.attach(spec.name):
            return handle
        if spec.cpus or spec.memory_bytes or spec.volumes:
            logger.warning("the process runner ignores limits and volumes", extra={"container": spec.name})
        try:
            with interruption.cleaning(partial(remove_tree, self._state_folder / spec.name)):
                self._fill(spec, interruption)
                interruption.begin()
            self._launch(spec)
        except OSError as error:
            raise not_started(spec, error) from error
        return await_launch(lambda: self.attach(spec.name), spec=spec)

    def attach(self, name: str) -> Handle | None:
        """Return the handle of a started attempt of this name, or None if there is none."""
        self._reap()
        try:
            return Handle(id=(self._state_folder / name / "launched").read_text().strip(), name=name)
        except FileNotFoundError:
            return None

    def poll(self, handle: Handle) -> Exit | None:
        """Return None while it runs; raise CONTAINER_LOST if it is gone without an exit code."""
        self._reap()
        if handle.id == NEVER_LAUNCHED:  # nothing to end: the launcher of a start that goes on may be there already
            raise lost(handle)
        if ended := self._find_exit(handle):
            return ended
        if self._find_launcher(handle):
            return None
        if ended := self._find_exit(handle):  # it ended between the two checks
            return ended
        self._end_what_is_left(handle)
        raise lost(handle)

    def read_log(self, handle: Handle, offset: int) -> bytes:
        """Return output from byte ``offset`` on, at most 1 MiB."""
        folder = self._state_folder / handle.name
        try:
            with (folder / "log").open("rb") as log:
                log.seek(offset)
                return log.read(READ_LIMIT_BYTES)
        except FileNotFoundError:
            if folder.exists():
                return b""
            raise lost(handle) from None

    def rest(self, handle: Handle, stopping: threading.Event, seconds: float) -> None:
        """Wait so long; less once there is an exit code."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not stopping.wait(min(left, POLL_SECONDS)):
            if self._find_exit(handle):
                return

    def unkept_bytes(self, handle: Handle) -> int:
        """Return the launcher's count of what it dropped."""
        try:
            return int((self._state_folder / handle.name / "dropped").read_text())
        except (FileNotFoundError, ValueError):  # it has not begun, or has been removed
            return 0

    def close_log(self, handle: Handle) -> None:
        """Do nothing: reading holds nothing open."""

    def stop(self, handle: Handle, *, grace_seconds: float) -> None:
        """Send SIGTERM to the process group, wait for the grace period, send SIGKILL; return once it no longer runs."""
        if launcher := self._find_launcher(handle):
            self._stop_launched(handle, launcher, grace_seconds=grace_seconds)
        self._end_what_is_left(handle)
        self._reap()

    def pause(self, handle: Handle) -> None:
        """Send SIGSTOP to all processes of the attempt, wherever they went."""
        if launcher := self._find_launcher(handle):
            freeze(launcher, self._state_folder / handle.name, session=str(launcher.pid))

    def resume(self, handle: Handle) -> None:
        """Send SIGCONT to all of them."""
        if launcher := self._find_launcher(handle):
            thaw(launcher, self._state_folder / handle.name, session=str(launcher.pid))

    def remove(self, handle: Handle) -> None:
        """Remove the attempt's folder, after ending what still runs in it."""
        self.stop(handle, grace_seconds=0)
        folder = self._state_folder / handle.name
        with suppress(FileNotFoundError):
            remove_tree(folder)

    def list_mine(self) -> list[Handle]:
        """Return all attempts in the state folder, including those whose start was cut off."""
        self._reap()
        with suppress(FileNotFoundError):
            return [self._handle_of(each) for each in sorted(self._state_folder.iterdir())]
        return []

    def find_engine(self) -> str | None:
        """Return None: there is none."""
        return None

    def find_gpus(self) -> tuple[str, ...]:
        """Return what nvidia-smi says."""
        return find_gpus() or ()

    def find_capacity(self) -> Capacity | None:
        """Return None: a process has what the host has."""
        return None

    def disk_bytes(self, handle: Handle) -> int:
        """Return the size of the attempt's folder, with its log and its temporary files."""
        return tree_bytes(self._state_folder / handle.name)

    def find_disk(self) -> Path | None:
        """Return the state folder."""
        return self._state_folder

    def find_unused_images(self, *, unused_seconds: float) -> list[str]:
        """Return none: there are none."""
        return []

    def remove_image(self, image_id: str) -> bool:
        """Return False: there are none."""
        return False

    def _handle_of(self, folder: Path) -> Handle:
        handle = self.attach(folder.name) or Handle(id=NEVER_LAUNCHED, name=folder.name)
        try:
            return replace(handle, gpu_ids=tuple((folder / GPUS_FILE).read_text().split()))
        except FileNotFoundError:
            return handle

    def _fill(self, spec: AttemptSpec, interruption: Interruption) -> None:
        folder = self._state_folder / spec.name
        for each in (folder, folder / "tmp", folder / "private"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in spec.private_files.items():
            write(folder / "private" / name, content)
        write(folder / GPUS_FILE, "\n".join(spec.gpu_ids).encode())
        copy_project(spec, folder, interruption)
        write(folder / START, start_script(spec.command, prelude=spec.prelude))
        write(folder / "launcher", LAUNCHER.read_bytes())  # a copy, because the program may be updated while it runs

    def _launch(self, spec: AttemptSpec) -> None:
        folder = self._state_folder / spec.name
        launcher = [str(self._python), "-I", "-S", str(folder / "launcher"), str(self._log_bounds.kept_bytes)]
        argv = [*launcher, "/bin/sh", str(folder / START)]
        paths = {spec.private_env[name]: str(folder / "private" / name) for name in spec.private_files}
        env = {**self._env, "TMPDIR": str(folder / "tmp"), **spec.env, **self._gpu_env(spec), **paths}
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        defaults = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE]
        pid = os.posix_spawn(argv[0], argv, env, file_actions=null, setsid=True, setsigmask=[], setsigdef=defaults)
        self._children.add(pid)

    def _gpu_env(self, spec: AttemptSpec) -> dict[str, str]:
        """Return the variables that show CUDA only the attempt's own GPUs, if the host has any."""
        if not spec.gpu_ids and not self._has_gpus:
            return {}
        return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(spec.gpu_ids)}

    @cached_property
    def _has_gpus(self) -> bool:
        return bool(self.find_gpus())

    def _stop_launched(self, handle: Handle, launcher: psutil.Process, *, grace_seconds: float) -> None:
        family = descendants(launcher)  # looked up while possible, so that those that left the group are killed as well
        signal_group(launcher.pid, signal.SIGTERM)
        self.resume(handle)  # paused processes would not react to the signal, and the launcher could not write
        self._wait_for_end(handle, timeout_seconds=grace_seconds)
        for process in {*family, *descendants(launcher)}:
            kill(process)
        # The launcher comes last, because it writes down how its command ended.
        if not self._wait_for_end(handle, timeout_seconds=KILL_SECONDS):
            signal_group(launcher.pid, signal.SIGKILL)
            self._wait_for_end(handle, timeout_seconds=KILL_SECONDS)
        if self._find_exit(handle) is None and (self._state_folder / handle.name).is_dir():
            self._record_exit(handle, KILLED_EXIT_CODE)

    def _end_what_is_left(self, handle: Handle) -> None:
        end_what_is_left(self._state_folder / handle.name, session=handle.id.partition(":")[0])

    def _find_exit(self, handle: Handle) -> Exit | None:
        try:
            code = (self._state_folder / handle.name / "exit").read_text()
        except FileNotFoundError:
            return None
        if not code.endswith("\n"):  # the line end is written last
            return None
        return Exit(exit_code=int(code), not_begun=self._find_why_not_begun(handle, int(code)))

    def _find_why_not_begun(self, handle: Handle, code: int) -> InfrastructureError | None:
        folder = self._state_folder / handle.name
        leaves_proof = (folder / START).exists()  # an earlier version's attempts leave none
        return not_begun(handle, code) if leaves_proof and not (folder / PROOF).exists() else None

    def _record_exit(self, handle: Handle, code: int) -> None:
        descriptor = os.open(self._state_folder / handle.name / "exit", os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"%03d\n" % code)

    def _find_launcher(self, handle: Handle) -> psutil.Process | None:
        self._reap()
        return find_launcher(self._state_folder / handle.name, handle.id)

    def _wait_for_end(self, handle: Handle, *, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while self._find_launcher(handle):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def _reap(self) -> None:
        for pid in list(self._children):
            with suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0):
                    continue
            self._children.discard(pid)
