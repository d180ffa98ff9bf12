"""Tells trainings' connections from people's, where one process serves both."""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

from deploy.mlflow_guard.layer import Scope

ROUTES = Path("/proc/net/route")


@dataclass(frozen=True)
class TrainingsSide:
    """Where trainings come in, and the network that they are on, if this machine says it.

    Trainings reach this address and port only: the firewall, and Docker itself, keep them from people's port. Should
    that fail, who is on their network is a training at people's port as well. Its first address is the host's, by which
    Docker also passes on what comes to a published port.
    """

    address: str
    port: int
    network: IPv4Network | None

    def is_training(self, scope: Scope) -> bool:
        """Return whether this request came to trainings' port, or from their network."""
        if tuple(scope.get("server") or ())[:2] == (self.address, self.port):
            return True
        try:
            client = ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return self.network is not None and client in self.network and client not in self._of_the_host(self.network)

    def _of_the_host(self, network: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
        return network[1], IPv4Address(self.address)


def side_at(name: str, port: int, routes: Path = ROUTES) -> TrainingsSide:
    """Return the side where trainings reach this machine by the name or address."""
    address = socket.gethostbyname(name)
    return TrainingsSide(address, port, network_of(IPv4Address(address), routes))


def network_of(address: IPv4Address, routes: Path = ROUTES) -> IPv4Network | None:
    """Return the smallest network that this machine reaches directly and that holds the address; Linux tells it."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:
        return None
    fields = [line.split() for line in lines]
    networks = [IPv4Network((_backwards(each[1]), str(IPv4Address(_backwards(each[7]))))) for each in fields]
    return max((each for each in networks if address in each and each.prefixlen), key=_length, default=None)


def _length(network: IPv4Network) -> int:
    return network.prefixlen


def _backwards(word: str) -> int:
    """Read an address as the kernel shows it: the number that its bytes are on this machine."""
    return socket.ntohl(int(word, 16))
