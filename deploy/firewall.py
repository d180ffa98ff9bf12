"""Keeps trainings away from each other, from this host, from private networks and from the cloud's metadata address.

Docker keeps its networks apart, but a published port is the host's (docker-proxy listens for it), and the host is every
bridge's gateway; and what the host's own network reaches, containers reach, too. The rules are for one bridge, that of
the training network, and stand in chains of their own. As long as they do, a file is kept fresh that the worker looks
at. Uses the standard library only: its image has nothing else.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

LOOK_SECONDS = 2
FRESH_SECONDS = 20
COMMAND_SECONDS = 30
BRIDGED_IS_FILTERED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
# What is nobody's on the internet: private, carrier-grade NAT, link-local with the metadata address, benchmarks,
# multicast, reserved. (RFC 6890; addresses for documentation lead nowhere.)
PRIVATE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
)
TRACKING_VARIABLES = ("CONTAINER_TRACKING_URI", "TRACKING_GATEWAY")
PORTS = Path("/sys/class/net")
LEAVE_SECONDS = 2
NAME_SECONDS = 60
KNOWN = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "RETURN")

logger = logging.getLogger("deploy.firewall")


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

    ``beside``: containers on the bridge itself, which is the guard before MLflow in Compose. ``elsewhere``: the guard
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
            # The guard's own way to MLflow, where Docker leads that over this bridge.
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
    """The guard's own addresses, which its container writes down at its start."""
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


class Refused(Exception):
    """iptables did not take a rule; the message is what it said."""


@dataclass(frozen=True)
class Tables:
    """This host's packet filter. Debian's iptables speaks nftables; an old kernel has the other one only."""

    command: str = "iptables"

    def run(self, *words: str, text: str | None = None, tool: str = "") -> str:
        """Run iptables or its companion; Refused where it fails."""
        try:
            done = subprocess.run(
                [self.command + tool, *words],
                input=text,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Refused(str(error)) from error
        if done.returncode:
            raise Refused(done.stderr.strip() or f"{self.command}{tool} ended with {done.returncode}")
        return done.stdout

    def has(self, *rule: str) -> bool:
        """Whether the rule (CHAIN and the rest) stands."""
        try:
            self.run("--wait", "--check", *rule)
        except Refused:
            return False
        return True


def tables() -> Tables | None:
    """The packet filter that this user may change here, or None."""
    for command in ("iptables", "iptables-legacy"):
        try:
            Tables(command).run("--wait", "--list-rules", "INPUT")
        except Refused:
            continue
        return Tables(command)
    return None


@dataclass
class Firewall:
    """The rules of one plan in this host's packet filter. ``put`` may be called again: it mends what is missing."""

    tables: Tables
    _standing: tuple[str, ...] = ()
    _plan: Plan | None = None

    def stands(self, plan: Plan) -> bool:
        """Whether every rule is as it was put."""
        return plan == self._plan and bool(self._standing) and self._standing == self._read(plan)

    def put(self, plan: Plan) -> None:
        """Put the chains in place, and then what leads to them first of all."""
        self._standing = ()
        self.tables.run("--wait", "--noflush", text=plan.text(), tool="-restore")
        for chain, jump in self._jumps(plan):
            if self.tables.has(chain, *jump):
                self.tables.run("--wait", "--delete", chain, *jump)
            self.tables.run("--wait", "--insert", chain, *jump)
        self._plan, self._standing = plan, self._read(plan)

    def remove(self, plan: Plan) -> None:
        """Take all of it away again."""
        for leading in ("DOCKER-USER", "FORWARD", "INPUT"):
            for chain in (plan.through, plan.to_host):
                jump = (leading, "-i", plan.bridge, "-j", chain)
                while self.tables.has(*jump):
                    self.tables.run("--wait", "--delete", *jump)
        for chain in (plan.through, plan.to_host):
            self.tables.run("--wait", "--flush", chain)
            self.tables.run("--wait", "--delete-chain", chain)

    def _jumps(self, plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
        """Docker looks into DOCKER-USER before its own rules, and leaves it alone when it puts those anew."""
        through = "DOCKER-USER" if self.tables.has("FORWARD", "-j", "DOCKER-USER") else "FORWARD"
        from_bridge = ("-i", plan.bridge, "-j")
        return [(through, (*from_bridge, plan.through)), ("INPUT", (*from_bridge, plan.to_host))]

    def _read(self, plan: Plan) -> tuple[str, ...]:
        """All rules that are ours or lead to ours, and how Docker's own chain is led to."""
        words = {plan.through, plan.to_host}
        rules = self.tables.run("--wait", "--list-rules").splitlines()
        ours = [rule for rule in rules if words & set(rule.split())]
        return (*ours, *(rule for rule in rules if rule == "-A FORWARD -j DOCKER-USER"))


def is_filtered(switch: Path = BRIDGED_IS_FILTERED) -> bool:
    """Whether the kernel shows iptables what goes between two containers of one bridge; Docker turns that on."""
    try:
        return switch.read_text().strip() != "0"
    except OSError:
        return True  # not to be seen from here


def keep(firewall: Firewall, plan: Callable[[], Plan], state: Path, stopping: Event) -> None:
    """Keep the rules in place until the process is told to stop; keep ``state`` fresh while they are."""
    said = ""
    while not stopping.is_set():
        try:
            said = _look(firewall, plan(), state, said)
        except (Refused, ValueError) as error:
            state.unlink(missing_ok=True)
            if str(error) != said:
                logger.error("the rules do not stand, so no training starts here: %s", error)
            said = str(error)
        stopping.wait(LOOK_SECONDS)


def _look(firewall: Firewall, plan: Plan, state: Path, said: str) -> str:
    if not firewall.stands(plan):
        firewall.put(plan)
        logger.warning("rules put in place for %s", plan.bridge)
    if not is_filtered():
        raise Refused(f"{BRIDGED_IS_FILTERED} is 0, and trainings reach each other. Set it to 1.")
    state.touch()
    return ""


def is_fresh(state: Path) -> bool:
    """Whether the rules stood a moment ago."""
    try:
        return abs(time.time() - state.stat().st_mtime) < FRESH_SECONDS
    except OSError:
        return False


def is_in_use(bridge: str, devices: Path = PORTS) -> bool:
    """Whether a container is on the bridge."""
    try:
        return any((devices / bridge / "brif").iterdir())
    except OSError:
        return False


def leave(firewall: Firewall, plan: Plan) -> None:
    """Take the rules away when nobody is left on the bridge; training that goes on keeps them."""
    until = time.monotonic() + LEAVE_SECONDS
    while is_in_use(plan.bridge) and time.monotonic() < until:
        time.sleep(LEAVE_SECONDS / 20)
    if is_in_use(plan.bridge):
        logger.info("the rules stay, because containers are on %s", plan.bridge)
        return
    firewall.remove(plan)


def main(arguments: Sequence[str]) -> int:
    """Keep the rules, or with --check say by the exit code whether they stand."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    state = Path(os.environ["TRAINING_FIREWALL_FILE"])
    if "--check" in arguments:
        return 0 if is_fresh(state) else 1
    found = tables()
    if found is None:
        logger.error("iptables does not work here: it needs root, or NET_ADMIN and NET_RAW on the host's network")
        return 1
    stopping, firewall = Event(), Firewall(found)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    keep(firewall, lambda: plan_of(os.environ), state, stopping)
    state.unlink(missing_ok=True)
    try:
        leave(firewall, plan_of(os.environ))
    except (Refused, ValueError) as error:
        logger.warning("the rules stay: %s", error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
