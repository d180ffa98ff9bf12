"""The doctor names each misconfiguration of a Docker engine, and says what to do."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.worker.doctor.conftest import NOBODY, MakeSettings, assert_named, by_subject
from tests.support.network.cutting_relay import CuttingRelay
from tests.support.network.devices import require_root
from tests.support.network.forwarding import forwarding
from tests.support.network.ports import free_port
from tests.support.servers.docker_engine import own_engine
from tests.support.servers.mlflow_server import MlflowServer
from worker.findings.finding import State
from worker.runners.docker.checks.engine_set_up import check_docker


@pytest.mark.parametrize("port", ["closed", "of another name"])
def test_an_mlflow_that_containers_do_not_reach_is_named(
    port: str, mlflow: MlflowServer, bridge: str, settings: MakeSettings
) -> None:
    with CuttingRelay(mlflow.port) as relay, forwarding(bridge, relay.port):
        there = free_port() if port == "closed" else relay.port
        asked = settings(container_tracking_uri=f"http://host.docker.internal:{there}", retrain_gpus="none")
        found = by_subject(check_docker(asked, os.environ))["MLflow from containers"]
    assert found.state is State.FAILURE
    if port == "closed":
        assert "Connection refused" in found.seen
        assert "CONTAINER_TRACKING_URI" in found.advice
    else:
        assert f"host.docker.internal:{there} among its --allowed-hosts" in found.advice


@pytest.mark.usefixtures("engine")
def test_a_missing_network_and_gpus_without_a_runtime_are_named(settings: MakeSettings) -> None:
    found = by_subject(check_docker(settings(container_network="no-such", retrain_gpus="7"), os.environ))
    assert found["training network"].state is State.FAILURE
    assert "docker network create no-such" in found["training network"].advice
    assert found["MLflow from containers"].state is State.SKIPPED
    assert found["GPUs"].state is State.FAILURE
    assert "nvidia-ctk" in found["GPUs"].advice


@pytest.mark.usefixtures("engine")
def test_a_runtime_that_the_engine_does_not_know_is_named(settings: MakeSettings) -> None:
    found = by_subject(check_docker(settings(container_runtime="no-such", retrain_gpus="none"), os.environ))
    assert found["runtime of containers"].state is State.FAILURE
    assert "CONTAINER_RUNTIME" in found["runtime of containers"].advice
    assert "The engine knows: " in found["runtime of containers"].advice
    known = by_subject(check_docker(settings(container_runtime="runc", retrain_gpus="none"), os.environ))
    assert known["runtime of containers"].seen == "runc"
    assert "root on this host" in known["root in containers"].seen


def test_an_engine_whose_restart_ends_training_is_warned_of(tmp_path: Path, settings: MakeSettings) -> None:
    with own_engine(tmp_path / "engine", live_restore=False) as engine:
        found = list(check_docker(settings(retrain_gpus="none"), {"DOCKER_HOST": engine.url}))
    assert_named(found, "Docker live-restore", seen="off", advice="live-restore", state=State.WARNING)
    assert by_subject(found)["MLflow from containers"].state is State.SKIPPED  # it has no image


@pytest.mark.parametrize(
    ("address", "seen", "advice"),
    [
        ("unix:///nonexistent/docker.sock", "no such socket", "systemctl start docker"),
        (f"tcp://{NOBODY}", "nothing listens", "systemctl start docker"),
        ("docker.example", "docker.example does not answer", "Correct DOCKER_HOST"),
    ],
)
def test_an_engine_that_is_not_there_is_told_apart(
    address: str, seen: str, advice: str, settings: MakeSettings
) -> None:
    assert_named(check_docker(settings(), {"DOCKER_HOST": address}), "Docker", seen=seen, advice=advice)


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Root may do everything; this user may not even look into the test's folder."""
    require_root()
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_an_engine_that_this_user_may_not_ask_is_told_apart(
    settings: MakeSettings, tmp_path: Path, as_nobody: None
) -> None:
    found = check_docker(settings(), {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})
    assert_named(found, "Docker", seen="permission denied", advice="usermod -aG docker")
