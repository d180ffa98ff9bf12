"""A network namespace as a machine of its own: one cable to the root namespace, which a test may cut."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.network.devices import free_subnet, ip, remove_device, require_root


@dataclass(frozen=True)
class NetworkNamespace:
    """``address`` is its own end of the cable, ``gateway`` the root namespace's: servers for it listen there."""

    name: str
    address: str
    gateway: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What stands before a command that is to run inside."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Pull the cable: nothing comes through, and no connection is told."""
        ip("link", "set", self.name, "down")

    def mend(self) -> None:
        """Plug it in again."""
        ip("link", "set", self.name, "up")

    def make(self) -> None:
        """Make the namespace and its cable."""
        ip("netns", "add", self.name)
        ip("link", "add", self.name, "type", "veth", "peer", "name", "cable", "netns", self.name)
        ip("address", "add", f"{self.gateway}/24", "dev", self.name)
        ip("link", "set", self.name, "up")
        ip("-netns", self.name, "address", "add", f"{self.address}/24", "dev", "cable")
        for device in ("lo", "cable"):
            ip("-netns", self.name, "link", "set", device, "up")
        ip("-netns", self.name, "route", "add", "default", "via", self.gateway)

    def remove(self) -> None:
        """Remove both; what runs inside must have ended."""
        remove_device(self.name)
        ip("netns", "delete", self.name)


@contextmanager
def network_namespace() -> Iterator[NetworkNamespace]:
    """A namespace that is gone at the end."""
    require_root()
    hosts = free_subnet().hosts()
    gateway, address = str(next(hosts)), str(next(hosts))
    namespace = NetworkNamespace(f"rt-{secrets.token_hex(4)}", address, gateway)
    try:
        namespace.make()
        yield namespace
    finally:
        namespace.remove()
