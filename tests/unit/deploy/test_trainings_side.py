"""Where one process serves people and trainings: which connection is whose."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from deploy.mlflow_guard.side import TrainingsSide, network_of

SIDE = TrainingsSide("172.19.0.2", 5008, IPv4Network("172.19.0.0/16"))
PEOPLES_PORT = ("172.19.0.2", 5007)
# As Linux on a little-endian machine shows it: the default route, Compose's default network, and the training network.
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth1\t000013AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.mark.parametrize(
    ("client", "server", "is_training"),
    [
        ("172.19.0.7", ("172.19.0.2", 5008), True),
        ("198.51.100.7", ("172.19.0.2", 5008), True),  # whoever comes to trainings' port is one
        ("172.19.0.7", PEOPLES_PORT, True),  # past the firewall, to people's port
        ("172.19.0.7", ("172.18.0.3", 5007), True),
        ("172.19.0.1", PEOPLES_PORT, False),  # a published port, passed on by Docker's proxy
        ("198.51.100.7", PEOPLES_PORT, False),
        ("172.18.0.5", ("172.18.0.3", 5007), False),  # the worker
        ("127.0.0.1", ("127.0.0.1", 5007), False),
        (None, PEOPLES_PORT, False),
    ],
)
def test_a_connection_is_a_training_s_by_where_it_came_in_or_by_the_network_it_came_from(
    client: str | None, server: tuple[str, int], is_training: bool
) -> None:
    scope = {"type": "http", "client": (client, 40000) if client else None, "server": server}
    assert SIDE.is_training(scope) is is_training


def test_the_network_of_trainings_is_read_from_the_kernel_s_routes(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    assert network_of(IPv4Address("172.19.0.2"), tmp_path / "route") == IPv4Network("172.19.0.0/16")
    assert network_of(IPv4Address("10.0.0.1"), tmp_path / "route") is None  # by the default route only
    assert network_of(IPv4Address("172.19.0.2"), tmp_path / "none") is None  # as on macOS
