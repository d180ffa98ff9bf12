"""The Docker network that `make up` creates for trainings, on which they cannot reach each other."""

import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_network

import docker
from docker.utils import kwargs_from_env

from worker.runners.docker.engine import ENGINE_ERRORS

PROBE_SECONDS = 10
LABEL = "retrain.training"
DEFAULT_BRIDGE = "bridge"
# Without it, containers on one bridge can reach each other. Docker turns on what it needs for that in the kernel.
APART = "com.docker.network.bridge.enable_icc"
DEVICE = "com.docker.network.bridge.name"


@dataclass(frozen=True)
class BridgeNetwork:
    """A network whose device has a fixed name for firewall rules; the kernel allows 15 characters."""

    name: str

    @property
    def bridge(self) -> str:
        """Its device on this machine."""
        return self.name[:15]

    def ensure(self, environment: Mapping[str, str]) -> str | None:
        """Create it if missing; return why that is not possible, or None once it exists."""
        try:
            with _client(environment) as client:
                if not any(each.name == self.name for each in client.networks.list(names=[self.name])):
                    options = {DEVICE: self.bridge, APART: "false"}
                    client.networks.create(
                        self.name, driver="bridge", options=options, labels={LABEL: ""}, enable_ipv6=False
                    )
        except ENGINE_ERRORS as error:
            return str(error)
        return None

    def find_address(self, environment: Mapping[str, str]) -> str | None:
        """Return this machine's address on it; None if containers reach loopback in another way."""
        return bridge_address(environment, self.name)

    def remove_unused(self, environment: Mapping[str, str]) -> None:
        """Remove it, unless running training uses it, when the engine refuses."""
        try:
            with _client(environment) as client:
                client.networks.get(self.name).remove()
        except ENGINE_ERRORS:
            return


def bridge_address(environment: Mapping[str, str], network: str = DEFAULT_BRIDGE) -> str | None:
    """Return this machine's address on a Docker network; None if containers reach loopback in another way."""
    try:
        with _client(environment) as client:
            bridge = client.networks.get(network).attrs["IPAM"]["Config"][0]
            # Until its daemon has restarted once, an engine reports no gateway: it is the first address of the subnet.
            address = bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))
    except (*ENGINE_ERRORS, KeyError, IndexError, ValueError):
        return None
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))  # with Docker Desktop, the bridge is in a virtual machine, not here
        except OSError:
            return None
    return str(address)


def _client(environment: Mapping[str, str]) -> "closing[docker.DockerClient]":
    return closing(docker.DockerClient(timeout=PROBE_SECONDS, **kwargs_from_env(environment=environment)))
