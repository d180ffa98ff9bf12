"""Names and addresses by which this machine is known to itself and to its containers."""

import socket
from ipaddress import ip_address

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HOST_FROM_CONTAINER = "host.docker.internal"  # this machine's name in containers
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what listens there, and where it is reached


def is_loopback(host: str | None) -> bool:
    """Return whether the name or address leads nowhere but to this machine, in whatever form it is written."""
    name = (host or "").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def own_loopback() -> str:
    """Return the address of loopback: IPv4's, except on a machine that has IPv6 only."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError:
            return "::1"
    return "127.0.0.1"


def listener(address: str, port: int) -> socket.socket:
    """Return a socket that listens there; 0 for any port that is free."""
    return socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


def is_this_machine(host: str | None) -> bool:
    """Return whether the host is this machine: loopback, its own name, or one of its addresses."""
    if is_loopback(host):
        return True
    try:
        found = socket.getaddrinfo(host or "", None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return any(_is_own(family, place[0]) for family, _, _, _, place in found)


def reachable_at(host: str) -> str:
    """Return the address at which this machine itself reaches what listens on ``host``, as a URL has it."""
    address = EVERYWHERE.get(host.strip("[]") or "0.0.0.0", host.strip("[]"))  # noqa: S104
    return f"[{address}]" if ":" in address else address


def _is_own(family: int, address: str | int) -> bool:
    """Return whether an interface of this machine has the address: only then it can be bound."""
    if str(address) in EVERYWHERE:
        return False
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
