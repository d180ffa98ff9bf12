"""The Docker network of trainings that `make up` makes for itself: trainings on it do not reach each other."""

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
# Without it Docker lets containers of one bridge reach each other. It turns on what it needs for that in the kernel.
APART = "com.docker.network.bridge.enable_icc"
DEVICE = "com.docker.network.bridge.name"


@dataclass(frozen=True)
class BridgeNetwork:
    """A network with a device of a name that firewall rules can be about; 15 characters are the kernel's most."""

    name: str

    @property
    def bridge(self) -> str:
        """Its device on this machine."""
        return self.name[:15]

    def ensure(self, environment: Mapping[str, str]) -> str | None:
        """Make it where it is missing; return why it cannot be had, None when it is there."""
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
        """Return this machine's address on it; None where containers reach loopback by another way."""
        return bridge_address(environment, self.name)

    def remove_unused(self, environment: Mapping[str, str]) -> None:
        """Remove it, unless training that goes on is on it: the engine refuses that."""
        try:
            with _client(environment) as client:
                client.networks.get(self.name).remove()
        except ENGINE_ERRORS:
            return


def bridge_address(environment: Mapping[str, str], network: str = DEFAULT_BRIDGE) -> str | None:
    """This machine's address on a network of Docker; None where containers reach loopback by another way."""
    try:
        with _client(environment) as client:
            bridge = client.networks.get(network).attrs["IPAM"]["Config"][0]
            # Until its daemon was restarted once, an engine does not say its own gateway: the subnet's first address.
            address = bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))
    except (*ENGINE_ERRORS, KeyError, IndexError, ValueError):
        return None
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))  # with Docker Desktop the bridge is in a virtual machine, not here
        except OSError:
            return None
    return str(address)


def _client(environment: Mapping[str, str]) -> "closing[docker.DockerClient]":
    return closing(docker.DockerClient(timeout=PROBE_SECONDS, **kwargs_from_env(environment=environment)))
