"""Services that the doctor looks at, and what it must say of them."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import docker
import pytest

from shared.settings import Settings
from tests.support.alerting.discord import DiscordServer
from tests.support.engines import docker_or_skip, require
from tests.support.servers.mlflow_server import MlflowServer, started_mlflow_server
from tests.support.servers.valkey import Valkey, running_valkey
from worker.findings.finding import Finding, State
from worker.runners.docker.networks import bridge_address

ROOT = Path(__file__).parents[4]
IMAGE = "python:3.11-slim"
NOBODY = "127.0.0.1:1"
MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: Path) -> MakeSettings:
    def make(**fields: object) -> Settings:
        return Settings.load(_env_file=None, **{"data_dir": tmp_path, "disk_low_bytes": 1, **fields})

    return make


@pytest.fixture(scope="package")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server of these tests alone: a test breaks its storage."""
    with started_mlflow_server(tmp_path_factory.mktemp("doctor-mlflow")) as server:
        yield server


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def discord() -> Iterator[DiscordServer]:
    server = DiscordServer(clock=time.monotonic)
    yield server
    server.close()


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    require(bool(client.api.images(IMAGE)), f"the image {IMAGE}")
    yield client
    client.close()


@pytest.fixture
def bridge(engine: docker.DockerClient) -> str:
    """This machine's address as containers have it."""
    assert engine
    address = bridge_address(os.environ)
    require(address is not None, "Docker's bridge")
    return str(address)


def by_subject(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {each.subject: each for each in findings}


def assert_named(findings: Iterable[Finding], subject: str, *, seen: str, advice: str, **more: State) -> None:
    """One is named, with what to do, and nothing else is wrong."""
    state = more.get("state", State.FAILURE)
    wrong = [each for each in findings if each.state in (State.WARNING, State.FAILURE)]
    assert [(each.subject, each.state) for each in wrong] == [(subject, state)], wrong
    assert seen in wrong[0].seen
    assert advice in wrong[0].advice
