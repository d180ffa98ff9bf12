"""A git host that asks for credentials; files whose host is another one have their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.source.private_host import PASSWORD, USERNAME
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host", USERNAME, PASSWORD) as server:
        yield server


@pytest.fixture
def iris(server: GitServer) -> RepositoryOnServer:
    return server.create("iris", {"MLproject": "name: iris\n"})
