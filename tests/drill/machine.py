"""What the drill takes from this machine, where it has it: a Docker engine, two small disks, a clock, a database."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.drill.clock import Clock
from tests.drill.project import EXAMPLE
from tests.support.network.ports import free_port
from tests.support.servers.docker_engine import OwnEngine, own_engine
from tests.support.servers.example_image import build_example_image
from tests.support.servers.postgres import IMAGE as POSTGRES_IMAGE
from tests.support.servers.postgres import MIGRATED, PostgresServer
from tests.support.waiting import wait_until

DISK_BYTES = 64 * 2**20
MOUNT_SECONDS = 30


@dataclass(frozen=True)
class Machine:
    """``missing`` says, by name, what it does not have and why."""

    folder: Path
    database_url: str
    engine: OwnEngine | None
    has_small_disks: bool
    clock: Clock | None
    missing: dict[str, str]

    @property
    def data(self) -> Path:
        """The workers' disk."""
        return self.folder / "data"

    @property
    def database_disk(self) -> Path:
        """The disk of SQLite's file."""
        return self.folder / "database"


@contextmanager
def prepared_machine(folder: Path, *, store: str) -> Iterator[Machine]:
    """Take what there is, and give all of it back."""
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for name in ("data", "database"):
            (folder / name).mkdir()
        has_small_disks = os.geteuid() == 0 and _mount(stack, folder / "data") and _mount(stack, folder / "database")
        if not has_small_disks:
            missing["disk"] = "mounting a small disk needs root"
        engine = _engine(stack, folder, missing)
        if (clock := Clock.find(folder)) is None:
            missing["clock"] = "no C compiler (cc) for the preloaded clock"
        url = stack.enter_context(_postgresql()) if store == "postgresql" else _sqlite(folder)
        yield Machine(folder, url, engine, has_small_disks, clock, missing)


def _sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'database' / 'jobs.db'}"


def _mount(stack: ExitStack, target: Path) -> bool:
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "drill", str(target)]
    if subprocess.run(["mount", *options], check=False, capture_output=True, timeout=MOUNT_SECONDS).returncode != 0:
        return False
    stack.callback(subprocess.run, ["umount", "--lazy", str(target)], check=True, timeout=MOUNT_SECONDS)
    return True


def _engine(stack: ExitStack, folder: Path, missing: dict[str, str]) -> OwnEngine | None:
    if why := _why_no_engine():
        missing["engine"] = why
        return None
    engine = stack.enter_context(own_engine(folder / "engine"))
    engine.load_image(build_example_image(EXAMPLE))
    return engine


def _why_no_engine() -> str | None:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        return "an engine of its own needs root and dockerd"
    try:
        docker.from_env(timeout=30).close()
    except DockerException:
        return "no Docker engine answers, from which the image could come"
    return None


@contextmanager
def _postgresql() -> Iterator[str]:
    """The URL of an empty database in a server of its own."""
    client = docker.from_env(timeout=60)
    password, port = secrets.token_hex(16), free_port()
    try:
        container = client.containers.run(
            POSTGRES_IMAGE,
            detach=True,
            environment={"POSTGRES_PASSWORD": password},
            ports={"5432/tcp": ("127.0.0.1", port)},
        )
        try:
            server = PostgresServer(container, port, password)
            wait_until(server.answers, timeout_seconds=60, every_seconds=0.2, what="PostgreSQL's first answer")
            server.make_role_and_template()
            yield server.url(MIGRATED)
        finally:
            container.remove(force=True, v=True)
    finally:
        client.close()
