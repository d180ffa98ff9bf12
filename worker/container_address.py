"""MLflow's address as a training container knows it."""

from urllib.parse import urlsplit, urlunsplit

from shared.settings import LOOPBACK, Settings

HOST_FROM_CONTAINER = "host.docker.internal"


def tracking_uri_in_containers(settings: Settings) -> str:
    """What the operator says, else the worker's own address with this machine's loopback by another name."""
    return settings.container_tracking_uri or seen_from_container(
        settings.mlflow_tracking_uri, settings.container_network
    )


def seen_from_container(tracking_uri: str, network: str = "") -> str:
    """The same address, this machine's loopback by the name that it has inside a container of that network."""
    parts = urlsplit(tracking_uri)
    if parts.hostname not in LOOPBACK or network == "host":
        return tracking_uri
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{HOST_FROM_CONTAINER}{port}"))
