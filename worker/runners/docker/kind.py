"""The entry of the Docker runner in the registry."""

from collections.abc import Iterator, Mapping
from contextlib import closing

import docker
from docker.utils import kwargs_from_env

from shared.settings import Settings
from worker.findings.finding import Finding
from worker.runners.docker.checks.engine_set_up import check_docker
from worker.runners.docker.confinement import Confinement
from worker.runners.docker.engine import ENGINE_ERRORS
from worker.runners.docker.inside import in_containers
from worker.runners.docker.networks import DEFAULT_BRIDGE, BridgeNetwork
from worker.runners.docker.pulled_images import PulledImages
from worker.runners.docker.runner import DockerRunner
from worker.runners.docker.service_name import service_name
from worker.runners.seam import log_bounds

PROBE_SECONDS = 10


class Docker:
    """Runs trainings in containers of the engine that DOCKER_HOST names."""

    @staticmethod
    def from_settings(settings: Settings, environment: Mapping[str, str]) -> DockerRunner:
        """Create a worker's runner."""
        return DockerRunner(
            environment,
            host=settings.worker_host,
            service=service_name(settings),
            pulled=PulledImages(settings.data_dir / f"pulled-images-{settings.worker_host}.json"),
            log_bounds=log_bounds(settings),
            inside=in_containers(settings),
            confinement=Confinement.of(settings),
        )

    @staticmethod
    def check(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
        """Check the engine, and let it start a container or two."""
        return check_docker(settings, environment)

    @staticmethod
    def secrets(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
        """Yield nothing: every process already knows the registry logins."""
        yield from ()

    @staticmethod
    def find_version(environment: Mapping[str, str]) -> str | None:
        """Return the engine's version."""
        try:
            connection = kwargs_from_env(environment=dict(environment))
            with closing(docker.DockerClient(timeout=PROBE_SECONDS, **connection)) as client:
                return f"Docker {client.version()['Version']}"
        except ENGINE_ERRORS:
            return None

    @staticmethod
    def find_network(name: str = "") -> BridgeNetwork:
        """Return the network of that name, or the engine's default bridge."""
        return BridgeNetwork(name or DEFAULT_BRIDGE)
