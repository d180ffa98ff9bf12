"""Faults of the machine: Docker daemon, containers and processes of trainings, disks, clock."""

import errno
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from docker.errors import APIError, NotFound

from tests.drill.faults.scene import Inject, Kind, Scene, wait
from tests.drill.machine import Machine
from tests.drill.records import JobRow
from tests.drill.sampling import trainings
from tests.drill.stack import DEFAULT, DOCKER

DAEMON, CLOCK = "Docker daemon", "clock"
HOUR_SECONDS = 3600
BALLAST_BYTES = 2**20


def host_kinds(machine: Machine) -> list[Kind]:
    """The kinds that need something of the machine; those that it has not say why not."""
    missing = machine.missing
    on_docker: dict[str, Inject] = {"docker kill": _kill_container, "docker rm -f": _remove_container}
    by_process: dict[str, Inject] = {"SIGKILL of a process": _kill_process, "folder removed": _remove_folder}
    disks: dict[str, Inject] = {"workers' disk full": _fill_data}
    if machine.database_url.startswith("sqlite"):
        disks["database's disk full"] = _fill_database
    return [
        Kind(DAEMON, _RESTARTS, kills_trainings=True, why_not=missing.get("engine")),
        Kind("container", {**(on_docker if machine.engine else {}), **by_process}, kills_trainings=True),
        Kind("disk full", disks, kills_trainings=True, why_not=missing.get("disk")),
        Kind(CLOCK, {"an hour ahead": _ahead, "an hour back": _back}, why_not=missing.get("clock")),
    ]


def _restart_daemon(*, live_restore: bool, kill: bool) -> Inject:
    def inject(scene: Scene) -> None:
        engine = scene.stack.machine.engine
        assert engine is not None
        scene.find_job("running", queues=[DOCKER])
        if engine.live_restore != live_restore:  # a daemon keeps what it was started with
            engine.restart()
            engine.live_restore = live_restore
        if kill:
            engine.kill()
        else:
            engine.stop()
        scene.pause(0, 3)
        engine.start()

    return inject


_RESTARTS: dict[str, Inject] = {
    "restarted, live-restore": _restart_daemon(live_restore=True, kill=False),
    "restarted, no live-restore": _restart_daemon(live_restore=False, kill=False),
    "SIGKILL, live-restore": _restart_daemon(live_restore=True, kill=True),
    "SIGKILL, no live-restore": _restart_daemon(live_restore=False, kill=True),
}


def _kill_container(scene: Scene) -> None:
    _with_container(scene, kill=True)


def _remove_container(scene: Scene) -> None:
    _with_container(scene, kill=False)


def _with_container(scene: Scene, *, kill: bool) -> None:
    engine = scene.stack.machine.engine
    assert engine is not None
    job = scene.find_job("running", queues=[DOCKER])
    scene.pause(0, 1)
    with engine.client() as client, suppress(NotFound, APIError):  # it has ended meanwhile
        if kill:
            client.api.kill(_name(job))
        else:
            client.api.remove_container(_name(job), force=True, v=True)


def _kill_process(scene: Scene) -> None:
    """Kill the script alone, or all processes of the attempt."""
    job = _process_job(scene)
    pids = [pid for job_id, _attempt, pid in trainings() if job_id == job.id]
    is_whole_group = scene.random.random() < 0.5
    for pid in pids:
        with suppress(ProcessLookupError, psutil.Error):
            if is_whole_group:
                os.killpg(os.getpgid(pid), signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGKILL)


def _remove_folder(scene: Scene) -> None:
    job = _process_job(scene)
    shutil.rmtree(scene.stack.machine.data / "processes" / (job.host or "") / _name(job), ignore_errors=True)


def _process_job(scene: Scene) -> JobRow:
    queues = [DEFAULT] if scene.stack.machine.engine else [DOCKER, DEFAULT]
    job = scene.find_job("running", queues=queues)
    scene.pause(0, 1)
    return job


def _name(job: JobRow) -> str:
    return f"retrain-{job.id}-{job.attempt}"


def _fill_data(scene: Scene) -> None:
    _fill(scene, scene.stack.machine.data)


def _fill_database(scene: Scene) -> None:
    _fill(scene, scene.stack.machine.database_disk)


def _fill(scene: Scene, disk: Path) -> None:
    scene.load.burst(3)
    with _ballast(disk / "ballast"):
        scene.pause(1, 6)


@contextmanager
def _ballast(file: Path) -> Iterator[None]:
    """Fill the disk to its last byte."""
    try:
        with file.open("wb", buffering=0) as ballast:
            size = BALLAST_BYTES
            while size:
                try:
                    ballast.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2
        yield
    finally:
        file.unlink(missing_ok=True)


def _ahead(scene: Scene) -> None:
    _jump(scene, HOUR_SECONDS)


def _back(scene: Scene) -> None:
    _jump(scene, -HOUR_SECONDS)


def _jump(scene: Scene, seconds: int) -> None:
    """Set the clock wrong while jobs run, and right again: each way is a jump."""
    clock = scene.stack.machine.clock
    assert clock is not None
    scene.find_job("running")
    clock.jump(seconds)
    try:
        wait(scene.random.uniform(2, 6))
    finally:
        clock.jump(0)
