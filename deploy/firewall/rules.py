"""The rules that keep trainings away from each other, this host and private networks. Reads names, writes nothing."""

import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from urllib.parse import urlsplit

# Not public internet: private, carrier-grade NAT, link-local with the metadata address, benchmarks,
# multicast, reserved. (RFC 6890; addresses for documentation lead nowhere.)
PRIVATE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
)
TRACKING_VARIABLES = ("CONTAINER_TRACKING_URI", "TRACKING_GATEWAY")
NAME_SECONDS = 60
KNOWN = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "RETURN")


@dataclass(frozen=True)
class Place:
    """An address and TCP port that trainings may reach."""

    address: str
    port: int

    @property
    def match(self) -> tuple[str, ...]:
        """As iptables has it."""
        return ("-d", f"{self.address}/32", "-p", "tcp", "-m", "tcp", "--dport", str(self.port))


@dataclass(frozen=True)
class Plan:
    """What trainings on the bridge may reach beside the internet.

    ``beside``: containers on the bridge itself, which is MLflow with its guard in Compose. ``elsewhere``: the guard
    on this host, or MLflow on another. ``networks``: what the operator names, on this host too, but never another
    network of Docker.
    """

    bridge: str
    beside: tuple[Place, ...] = ()
    elsewhere: tuple[Place, ...] = ()
    networks: tuple[str, ...] = ()

    @property
    def through(self) -> str:
        """The chain for what goes through this host."""
        return f"RETRAIN-{self.bridge}"

    @property
    def to_host(self) -> str:
        """The chain for what is meant for this host itself."""
        return f"RETRAIN-IN-{self.bridge}"

    def text(self) -> str:
        """Return both chains as iptables-restore takes them, which puts them in place in one step."""
        chains = {self.through: self._through(), self.to_host: self._to_host()}
        heads = [f":{chain} - [0:0]" for chain in chains]
        rules = [f"-A {chain} {' '.join(rule)}" for chain, each in chains.items() for rule in each]
        return "\n".join(["*filter", *heads, *rules, "COMMIT", ""])

    def _through(self) -> list[tuple[str, ...]]:
        same_bridge = ("-o", self.bridge)
        away = ("!", "-o", self.bridge)
        return [
            KNOWN,
            # Its own way to database and files, or to MLflow, where Docker leads that over this bridge.
            *(("-s", f"{place.address}/32", *away, "-j", "RETURN") for place in self.beside),
            *((*same_bridge, *place.match, "-j", "ACCEPT") for place in self.beside),
            (*same_bridge, "-j", "DROP"),
            # A resolver is often at a private address, and Docker's own asks it from inside the container's network.
            *(("-p", kind, "-m", kind, "--dport", "53", "-j", "RETURN") for kind in ("udp", "tcp")),
            *((*place.match, "-j", "RETURN") for place in self.elsewhere),
            *(("-d", network, "-j", "RETURN") for network in self.networks),
            *(("-d", network, "-j", "DROP") for network in PRIVATE),
        ]

    def _to_host(self) -> list[tuple[str, ...]]:
        return [
            KNOWN,
            *(("-s", f"{place.address}/32", "-j", "RETURN") for place in self.beside),  # MLflow's own way, as above
            *((*place.match, "-j", "RETURN") for place in self.elsewhere),
            *(("-d", network, "-j", "RETURN") for network in self.networks),
            ("-j", "DROP"),
        ]


def plan_of(environment: Mapping[str, str]) -> Plan:
    """Read the plan from the environment and from what MLflow says of its addresses; ValueError where it is wrong."""
    bridge = environment.get("TRAINING_BRIDGE", "")
    if not bridge or len(bridge) > 15:
        raise ValueError(f"TRAINING_BRIDGE is '{bridge}'; it must name the bridge of the training network.")
    names = environment.get("TRAINING_ALLOWED_NETWORKS", "").replace(",", " ").split()
    uris = [environment.get(name, "") for name in TRACKING_VARIABLES]
    return Plan(
        bridge,
        beside=_announced(environment),
        elsewhere=tuple(dict.fromkeys(place for uri in uris for place in _places(uri))),
        networks=tuple(str(IPv4Network(name, strict=False)) for name in names),
    )


def _announced(environment: Mapping[str, str]) -> tuple[Place, ...]:
    """Return the guard's own addresses, which its container writes to a file at its start."""
    file, port = environment.get("TRACKING_ADDRESS_FILE", ""), int(environment.get("TRACKING_PORT", "5007"))
    try:
        words = Path(file).read_text().split() if file else []
    except OSError:
        words = []
    return tuple(Place(word, port) for word in words[:8] if _is_ipv4(word))


def _places(uri: str) -> Iterable[Place]:
    """Where a tracking server is; a name that is not known now is looked up again later."""
    parts = urlsplit(uri)
    if not parts.hostname:
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    yield from (Place(address, port) for address in _addresses(parts.hostname, int(time.time() // NAME_SECONDS)))


@lru_cache(maxsize=8)
def _addresses(host: str, _minute: int) -> tuple[str, ...]:
    """Ask once a minute only: a resolver that is away takes long to say nothing."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(str(each[4][0]) for each in found)


def _is_ipv4(word: str) -> bool:
    try:
        return ip_address(word).version == 4
    except ValueError:
        return False
