"""Addresses that lie inside, in the spellings that get past a naive look."""

from ipaddress import ip_address

import pytest

from shared.addresses.git_uri import AllowedAddresses, parse_git_uri
from shared.addresses.inside_addresses import find_address, is_inside

SCHEMES = frozenset({"https", "ssh", "file"})
LOOPBACK = (
    "127.0.0.1 127.1 0x7f.1 0x7f000001 2130706433 017700000001 127.0.0.1. localhost LOCALHOST. db.localhost 0.0.0.0 0 "
    "::1 :: ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: "
)
OTHERS = (
    "169.254.169.254 0xa9fea9fe ::ffff:a9fe:a9fe 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 224.0.0.1 "
    "239.1.2.3 ff02::1 255.255.255.255 240.0.0.1 198.18.0.1 192.0.2.1 fe80::1 fec0::1"
)
PRIVATE = "10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 3232235777 100.64.0.1 fd12:3456::1 ::ffff:10.0.0.1"
OUTSIDE = "8.8.8.8 140.82.121.3 172.32.0.1 2606:4700:4700::1111 64:ff9b::808:808 ::ffff:8.8.8.8"


@pytest.mark.parametrize("host", (LOOPBACK + OTHERS).split())
@pytest.mark.parametrize("private_networks", [False, True])
def test_this_machine_and_its_clouds_metadata_are_inside_however_they_are_spelled(
    host: str, private_networks: bool
) -> None:
    address = find_address(host)
    assert address is not None
    assert is_inside(address, private_networks=private_networks)


@pytest.mark.parametrize("host", PRIVATE.split())
def test_private_networks_are_inside_unless_the_operator_opens_them(host: str) -> None:
    address = find_address(host)
    assert address is not None
    assert is_inside(address)
    assert not is_inside(address, private_networks=True)


@pytest.mark.parametrize("host", OUTSIDE.split())
def test_what_everybody_can_reach_is_outside(host: str) -> None:
    assert find_address(host) == ip_address(host)
    assert not is_inside(ip_address(host))


@pytest.mark.parametrize("host", ["github.com", "localhost.example.org", "127.0.0.1.nip.io", "0x7g.1", "::g"])
def test_a_name_spells_no_address(host: str) -> None:
    assert find_address(host) is None


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1/a.git",
        "https://2130706433/a.git",
        "https://0x7f.1:8080/a.git",
        "https://[::ffff:127.0.0.1]/a.git",
        "https://user:password@localhost./a.git",
        "ssh://git@169.254.169.254/a.git",
        "git@10.0.0.1:a.git",
    ],
)
def test_an_address_inside_is_refused_unless_git_hosts_names_its_host(uri: str) -> None:
    address = parse_git_uri(uri)
    refusal = AllowedAddresses(SCHEMES).refusal(address, what="git_uri")
    assert refusal is not None
    assert refusal.setting == "GIT_HOSTS"
    assert "inside this service's own network" in refusal.message
    assert AllowedAddresses(SCHEMES, frozenset({address.host.upper()})).refusal(address, what="git_uri") is None


@pytest.mark.parametrize("uri", ["https://github.com/a/b.git", "git@gitlab.com:a/b.git", "file:///srv/a.git"])
def test_other_addresses_need_no_setting(uri: str) -> None:
    assert AllowedAddresses(SCHEMES).refusal(parse_git_uri(uri), what="git_uri") is None
