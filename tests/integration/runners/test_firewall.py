"""The network that `make up` makes for trainings, and the firewall on it: on a real engine, with real iptables."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from deploy.firewall.__main__ import is_fresh
from deploy.firewall.iptables import Firewall, tables
from deploy.firewall.rules import Plan
from tests.support.engines import docker_or_skip
from tests.support.network.devices import ip, require_root
from tests.support.network.namespace import NetworkNamespace, network_namespace
from tests.support.network.reaching import reached
from tests.support.waiting import wait_until
from worker.runners.docker.networks import BridgeNetwork, bridge_address

IMAGE = "python:3.11-slim"
METADATA = ("169.254.169.254", 80)
PORT = 5007
STOP_SECONDS = 20
Run = Callable[[], Any]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    require_root("iptables")
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture(scope="module")
def network(engine: docker.DockerClient) -> Iterator[BridgeNetwork]:
    made = BridgeNetwork(f"retrain-{secrets.token_hex(4)[:7]}")
    assert made.ensure(os.environ) is None
    assert made.ensure(os.environ) is None  # a second stack of the same data
    yield made
    made.remove_unused(os.environ)
    if (found := tables()) and rules(made.bridge):
        Firewall(found).remove(Plan(made.bridge))
    assert engine.networks.list(names=[made.name]) == []


@pytest.fixture(scope="module")
def trainings(engine: docker.DockerClient, network: BridgeNetwork) -> Iterator[list[Any]]:
    """Two, each of which listens as MLflow does."""
    command = ["python3", "-m", "http.server", str(PORT)]
    started: list[Any] = []
    try:
        for _ in range(2):
            started.append(engine.containers.run(IMAGE, command, network=network.name, detach=True, init=True))
        yield started
    finally:
        for container in started:
            container.remove(force=True)


@pytest.fixture(scope="module")
def private() -> Iterator[NetworkNamespace]:
    """Another machine of a private network, with a server at two addresses."""
    with network_namespace() as machine:
        ip("-netns", machine.name, "address", "add", f"{second(machine)}/24", "dev", "cable")
        listener = subprocess.Popen(
            [*machine.prefix, sys.executable, "-m", "http.server", "80"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: answers(machine.address, 80), what="the server of the private network")
        yield machine
        listener.kill()
        listener.wait()


@pytest.fixture
def firewall(network: BridgeNetwork, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> "subprocess.Popen[bytes]":
        state = tmp_path / "stands"
        ours = {"TRAINING_BRIDGE": network.bridge, "TRAINING_FIREWALL_FILE": str(state)}
        environment = {"PATH": os.environ["PATH"], **ours, **settings}
        started.append(subprocess.Popen([sys.executable, "-m", "deploy.firewall"], env=environment))
        wait_until(lambda: is_fresh(state), what="the firewall")
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(STOP_SECONDS)


def second(machine: NetworkNamespace) -> str:
    return f"{machine.address.rpartition('.')[0]}.77"


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def address(container: Any) -> str:
    container.reload()
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def rules(bridge: str) -> list[str]:
    said = subprocess.run(["iptables", "--wait", "-S"], capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if f"RETRAIN-{bridge}" in line or f"RETRAIN-IN-{bridge}" in line]


def test_trainings_do_not_reach_each_other_and_have_no_ipv6(trainings: list[Any], private: NetworkNamespace) -> None:
    one, other = trainings
    assert reached(one, [(address(other), PORT), (address(one), PORT)]) == [(address(one), PORT)]
    assert reached(one, [(private.address, 80)]) != []  # so what follows is the firewall's
    _, said = one.exec_run(["cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6"])
    assert said.split() == [b"1"]


def test_with_the_firewall_they_reach_mlflow_and_what_is_named_and_nothing_else_that_is_private(
    network: BridgeNetwork, trainings: list[Any], private: NetworkNamespace, firewall: Run, tmp_path: Path
) -> None:
    one, other = trainings
    gateway = bridge_address(os.environ, network.name)
    assert gateway
    with socket.create_server((gateway, 0)) as mlflow, socket.create_server(("0.0.0.0", 0)) as service:
        ports = mlflow.getsockname()[1], service.getsockname()[1]
        hosts_own = [(host, ports[1]) for host in (gateway, private.gateway)]
        assert reached(one, hosts_own) == hosts_own
        firewall(  # type: ignore[call-arg]
            TRAINING_ALLOWED_NETWORKS=f"{second(private)}/32", TRACKING_GATEWAY=f"http://{gateway}:{ports[0]}"
        )
        allowed = [(gateway, ports[0]), (second(private), 80)]
        refused = [*hosts_own, (private.address, 80), METADATA, ("192.168.77.1", 80), (address(other), PORT)]
        assert reached(one, [*allowed, *refused]) == allowed


def test_a_container_that_is_announced_is_reached_by_all_and_rules_that_go_come_back(
    network: BridgeNetwork, trainings: list[Any], private: NetworkNamespace, firewall: Run, tmp_path: Path
) -> None:
    one, mlflow = trainings
    (tmp_path / "tracking").write_text(f"{address(mlflow)}\n")
    process = firewall(TRACKING_ADDRESS_FILE=str(tmp_path / "tracking"))  # type: ignore[call-arg]
    targets = [(address(mlflow), PORT), (private.address, 80), METADATA]
    assert reached(one, targets) == targets[:1]
    whole = rules(network.bridge)
    subprocess.run(["iptables", "--wait", "-F", f"RETRAIN-{network.bridge}"], check=True)
    wait_until(lambda: rules(network.bridge) == whole, what="the rules")
    assert reached(one, targets) == targets[:1]

    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_SECONDS) == 0
    assert rules(network.bridge) == whole  # training that goes on keeps them
    assert not is_fresh(tmp_path / "stands")


def test_nothing_of_the_firewall_is_left_when_no_training_is(engine: docker.DockerClient, firewall: Run) -> None:
    empty = BridgeNetwork(f"retrain-{secrets.token_hex(4)[:7]}")
    assert empty.ensure(os.environ) is None
    process = firewall(TRAINING_BRIDGE=empty.bridge)  # type: ignore[call-arg]
    assert rules(empty.bridge) != []
    process.terminate()
    process.wait(STOP_SECONDS)
    assert rules(empty.bridge) == []
    empty.remove_unused(os.environ)
    assert engine.networks.list(names=[empty.name]) == []
