"""The ports that the stack listens on, and who has one that is taken."""

import socket
from urllib.parse import urlsplit

import psutil

from deploy.flower_address import listens_at
from deploy.one_machine.plan import Stack
from shared.errors import ConfigurationError
from shared.own_addresses import own_loopback


def ports(stack: Stack) -> dict[str, int]:
    """Return the ports on which this stack's own processes listen."""
    settings = stack.settings
    found = {
        "redis": urlsplit(settings.redis_url.get_secret_value()).port,
        "mlflow": urlsplit(settings.mlflow_tracking_uri).port,
        "api": settings.api_port,
        "worker": settings.worker_metrics_port,
        "flower": listens_at(settings)[1],
    }
    return {name: port for name, port in found.items() if name in stack.processes and port}


def refuse_taken_ports(stack: Stack) -> None:
    """Raise ConfigurationError that says which port is taken by what."""
    variables = {
        "redis": "REDIS_PORT",
        "mlflow": "MLFLOW_TRACKING_URI",
        "api": "API_PORT",
        "worker": "WORKER_METRICS_PORT",
        "flower": "FLOWER_URL",
    }
    taken = [
        f"Port {port} ({name}) is taken by {_owner(port)}. Stop it, or choose another one with {variables[name]}."
        for name, port in ports(stack).items()
        if is_taken(port)
    ]
    if taken:
        raise ConfigurationError("\n".join(taken))


def is_taken(port: int) -> bool:
    """Return whether something listens on this port of this machine."""
    address = own_loopback()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {process.pid}: {' '.join(process.cmdline())[:80]})"
    except psutil.Error:
        pass  # macOS shows other users' sockets to root only
    return "another program"
