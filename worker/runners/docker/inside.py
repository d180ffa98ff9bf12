"""How a training in a container reaches its surroundings: MLflow, the cache of datasets, this machine."""

from urllib.parse import urlsplit, urlunsplit

from shared.own_addresses import HOST_FROM_CONTAINER, is_loopback
from shared.settings import Settings
from worker.runners.seam import Inside

CACHE_FOLDER = "/mnt/retrain-cache"


def in_containers(settings: Settings) -> Inside:
    """Return what a training finds in its container."""
    return Inside(
        tracking_uri=tracking_uri_in_containers(settings),
        is_guarded=bool(settings.tracking_guard_uri) and not settings.container_tracking_uri,
        cache_folder=CACHE_FOLDER,
        runs_images=True,
    )


def tracking_uri_in_containers(settings: Settings) -> str:
    """Return the operator's address, else our guard's, else the worker's own with its loopback renamed."""
    return (
        settings.container_tracking_uri
        or settings.tracking_guard_uri
        or seen_from_container(settings.mlflow_tracking_uri, settings.container_network)
    )


def seen_from_container(tracking_uri: str, network: str = "") -> str:
    """Return the address, with loopback replaced by this machine's name inside a container of that network."""
    parts = urlsplit(tracking_uri)
    if not is_loopback(parts.hostname) or network == "host":
        return tracking_uri
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{HOST_FROM_CONTAINER}{port}"))
