"""What tests do with a stack of compose: let it train, look at what it keeps, and reach for what it closes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker
import psutil
import requests
from mlflow.tracking import MlflowClient

from tests.acceptance.support.projects import WAIT_FOR_GO, mlproject
from tests.support.network.devices import ip
from tests.support.network.namespace import NetworkNamespace, network_namespace
from tests.support.servers.compose import Compose
from tests.support.servers.git_server import GitServer

PORTS = {"redis": 6379, "postgres": 5432, "api": 5005, "worker": 5006, "flower": 5555, "azurite": 10000}
SERVED = "/api/2.0/mlflow-artifacts/artifacts"
AZURITE = {
    "COMPOSE_PROFILES": "azurite",
    "ARTIFACTS_DESTINATION": "wasbs://mlflow@store.blob.core.windows.net/artifacts",
    "AZURE_CONNECTION_SECRET": "azurite_connection_string",
}
LIST_BLOBS = """
from azure.storage.blob import BlobServiceClient as Service
from shared.settings import Settings
secret = Settings.load().azure_storage_connection_string.get_secret_value()
print(*Service.from_connection_string(secret).get_container_client("mlflow").list_blob_names(), sep="\\n")
"""


@contextmanager
def private_machine() -> Iterator[NetworkNamespace]:
    """Start a machine of a private network, with a server; the operator has named one of its two addresses."""
    with network_namespace() as machine:
        ip("-netns", machine.name, "address", "add", f"{named_in(machine)}/24", "dev", "cable")
        listener = subprocess.Popen(
            [*machine.prefix, sys.executable, "-m", "http.server", "80"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        yield machine
        listener.kill()
        listener.wait()


def named_in(machine: NetworkNamespace) -> str:
    """Return the address that the operator has named."""
    return f"{machine.address.rpartition('.')[0]}.77"


def repository(git_server: GitServer, host_address: str, name: str, files: dict[str, str]) -> str:
    """A git repository, as the worker reaches it."""
    return git_server.create(name, files).uri.replace("127.0.0.1", host_address)


def training_that_waits(stack: Compose, git_server: GitServer, host_address: str, name: str) -> tuple[Any, Any]:
    """A job that trains until it is let go, and its container."""
    uri = repository(git_server, host_address, name, {"MLproject": mlproject(f"{WAIT_FOR_GO}; echo trained")})
    job = stack.post("/retrain", {"experiment_name": name, "git_uri": uri})
    running = stack.wait(job, "running")
    assert running["state"] == "running", running["reason"]
    (container,) = (each for each in stack.training() if job["id"] in each.name)
    return job, container


def iptables(stack: Compose, engine: docker.DockerClient, *words: str) -> None:
    """Change the packet filter of this host, as somebody does who reloads it."""
    engine.containers.run(
        f"{stack.name}-firewall", ["iptables", *words], network_mode="host", cap_add=["NET_ADMIN"], remove=True
    )


def addresses_of(stack: Compose, engine: docker.DockerClient) -> list[tuple[str, int]]:
    """Each service but the guard by its name and addresses, and what is published by all addresses of this machine."""
    found: list[tuple[str, int]] = []
    gateways = {"host.docker.internal"}
    for name, service in stack.services().items():
        networks = engine.containers.get(service["Name"]).attrs["NetworkSettings"]["Networks"].values()
        gateways |= {each["Gateway"] for each in networks if each["Gateway"]}
        if name in PORTS:
            found += [(address, PORTS[name]) for address in (name, *(each["IPAddress"] for each in networks))]
        if name == "mlflow":
            found += [(each["IPAddress"], 5007) for each in networks]
    here = {
        each.address for device in psutil.net_if_addrs().values() for each in device if each.family.name == "AF_INET"
    }
    ports = (stack.api_port, stack.flower_port, stack.mlflow_port)
    published = [(host, port) for host in (gateways | here) for port in ports]
    return [*found, *((host, 2375) for host in gateways), *published]


@dataclass(frozen=True)
class Kept:
    """What a stack must not forget: its jobs with their logs, models, and artifacts with their bytes."""

    jobs: dict[str, tuple[str, str]]
    models: set[tuple[str, str, str | None]]
    artifacts: dict[str, bytes]


def kept(stack: Compose) -> Kept:
    """Read all of it, as its users do."""
    jobs = {
        each["id"]: (each["state"], stack.get(f"/jobs/{each['id']}/logs").text)
        for each in stack.get("/jobs").json()["jobs"]
    }
    versions = MlflowClient(stack.mlflow_url).search_model_versions()
    paths = [blob.removeprefix("artifacts/") for blob in stack.python("mlflow", LIST_BLOBS).splitlines()]
    artifacts = {path: requests.get(f"{stack.mlflow_url}{SERVED}/{path}", timeout=30).content for path in paths}
    return Kept(jobs, {(each.name, str(each.version), each.source) for each in versions}, artifacts)


def healthcheck(stack: Compose, service: str) -> list[str]:
    """The command of a service's health check."""
    configuration = json.loads(stack.run("config", "--format", "json").stdout)
    return list(configuration["services"][service]["healthcheck"]["test"][1:])
