"""A git host without logins, and what fetches from it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from worker.source.checkout import Checkout, GitSource, SourceRequest


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host") as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(
        tmp_path / "data/mirrors",
        tmp_path / "data/work",
        allowed_schemes=frozenset({"http"}),
        allowed_hosts=frozenset({"127.0.0.1"}),
        environ={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )


@pytest.fixture
def iris(server: GitServer) -> RepositoryOnServer:
    return server.create("iris", {"MLproject": "name: iris\n", "src/train.py": "print(1)\n"})


def fetch(source: GitSource, repository: RepositoryOnServer, name: str = "a-1") -> Checkout:
    return source.checkout(SourceRequest(repository.uri, "main"), name=name, timeout_seconds=60)
