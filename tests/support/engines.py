"""Real engines for tests. A missing one skips on a laptop and fails in CI, where a skip would be a silent hole."""

import os

import docker
import pytest
from docker.errors import DockerException


def require(available: bool, what: str) -> None:
    """Go on when it is available; else skip, or fail when CI is set."""
    if available:
        return
    message = f"{what} is not available on this machine"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def docker_or_skip() -> docker.DockerClient:
    """Return a client of a Docker engine that answers."""
    try:
        client = docker.from_env(timeout=30)
        client.ping()
    except DockerException:
        require(False, "Docker")
        raise
    return client
