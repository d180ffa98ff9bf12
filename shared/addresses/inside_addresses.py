"""Recognises inside addresses in every spelling: this machine, its cloud's metadata service, private networks."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
NAT64 = ip_network("64:ff9b::/96")
PRIVATE = tuple(
    map(
        ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
    )  # RFC 1918, 6598, 4193
)
CLOUD = (
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
)  # metadata services besides 169.254.169.254
METADATA = tuple(map(ip_address, CLOUD))
LOOPBACK_NAMES = ("localhost", "ip6-localhost", "ip6-loopback")


def find_address(host: str) -> Address | None:
    """Return the address that a host's name spells out, without a look-up: 127.1, 0x7f000001, localhost."""
    name = host.lower().rstrip(".")
    if name in LOOPBACK_NAMES or name.endswith(".localhost"):
        return IPv4Address("127.0.0.1")
    try:
        return IPv6Address(name) if ":" in name else IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


def is_inside(address: Address, *, private_networks: bool = False) -> bool:
    """Return whether strangers' requests must not lead there; ``private_networks`` allows an organisation's own."""
    plain = _unwrapped(address)
    if plain in METADATA:
        return True
    if private_networks and any(plain in network for network in PRIVATE):
        return False
    is_site_local = isinstance(plain, IPv6Address) and plain.is_site_local
    return not plain.is_global or plain.is_multicast or plain.is_reserved or is_site_local


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address embeds, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
