"""MLflow's address as a training container knows it."""

from urllib.parse import urlsplit, urlunsplit

from shared.settings import LOOPBACK, Settings

HOST_FROM_CONTAINER = "host.docker.internal"


def tracking_uri_in_containers(settings: Settings) -> str:
    """What the operator says, else our guard, else the worker's own address, its loopback by another name."""
    return (
        settings.container_tracking_uri
        or settings.tracking_guard_uri
        or seen_from_container(settings.mlflow_tracking_uri, settings.container_network)
    )


def guard_has_the_password(settings: Settings, runner: str) -> bool:
    """Whether trainings reach MLflow through our guard, which adds user and password to what they ask."""
    return runner == "docker" and bool(settings.tracking_guard_uri) and not settings.container_tracking_uri


def seen_from_container(tracking_uri: str, network: str = "") -> str:
    """The same address, this machine's loopback by the name that it has inside a container of that network."""
    parts = urlsplit(tracking_uri)
    if parts.hostname not in LOOPBACK or network == "host":
        return tracking_uri
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{HOST_FROM_CONTAINER}{port}"))
