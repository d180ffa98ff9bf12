"""A real Azurite, Azure's own emulator of its Blob storage, in a container of its own."""

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerClient
from docker.errors import APIError

from tests.support.engines import docker_or_skip, require
from tests.support.network.ports import free_port
from tests.support.waiting import wait_until

IMAGE = "mcr.microsoft.com/azure-storage/azurite:3.33.0"
ACCOUNT = "store"


@dataclass(frozen=True)
class Azurite:
    """A running server with one account."""

    port: int
    key: str

    @property
    def url(self) -> str:
        """The account's address."""
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """What opens the account."""
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={self.key};BlobEndpoint={self.url};"

    @contextmanager
    def new_container(self) -> Iterator[ContainerClient]:
        """A blob container that nobody else has."""
        with (
            BlobServiceClient.from_connection_string(self.connection_string) as service,
            service.get_container_client(f"test-{secrets.token_hex(6)}") as container,
        ):
            container.create_container()
            yield container

    def answers(self) -> bool:
        """Whether it takes requests."""
        try:
            with BlobServiceClient.from_connection_string(self.connection_string, retry_total=0) as service:
                service.get_account_information()
        except AzureError:
            return False
        return True


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A server that is removed, with its data, when the session ends."""
    client = docker_or_skip()
    try:
        server = Azurite(free_port(), base64.b64encode(secrets.token_bytes(32)).decode())
        try:
            container = client.containers.run(
                IMAGE,
                ["azurite-blob", "--blobHost", "0.0.0.0", "--inMemoryPersistence", "--skipApiVersionCheck"],
                detach=True,
                environment={"AZURITE_ACCOUNTS": f"{ACCOUNT}:{server.key}"},
                ports={"10000/tcp": ("127.0.0.1", server.port)},
            )
        except APIError as error:
            require(False, f"the image {IMAGE} ({error.explanation})")
            raise
        try:
            wait_until(server.answers, timeout_seconds=60, every_seconds=0.2, what="Azurite's first answer")
            yield server
        finally:
            container.remove(force=True, v=True)
    finally:
        client.close()
