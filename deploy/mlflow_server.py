"""Runs the MLflow server of `make up`: SQLite, artifacts behind the server, no job execution."""

import os
import sys
from urllib.parse import urlsplit

from shared.settings import Settings

CONTAINER_HOST = "host.docker.internal"


def command(settings: Settings) -> list[str]:
    """The server's command line."""
    folder = (settings.data_dir / "mlflow").resolve()
    port = urlsplit(settings.mlflow_tracking_uri).port or 5007
    hosts = [f"{name}:{port}" for name in ("localhost", "127.0.0.1", CONTAINER_HOST)]
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", settings.artifacts_destination or str(folder / "artifacts")),
        *("--workers", "1", "--allowed-hosts", ",".join(hosts)),
    ]


def storage_credentials(settings: Settings) -> dict[str, str]:
    """What opens the artifact storage, as MLflow reads it; of the two it takes the connection string."""
    secrets = {
        "AZURE_STORAGE_ACCESS_KEY": settings.azure_storage_access_key,
        "AZURE_STORAGE_CONNECTION_STRING": settings.azure_storage_connection_string,
    }
    return {name: secret.get_secret_value() for name, secret in secrets.items() if secret.get_secret_value()}


def main() -> None:
    """Become the server."""
    settings = Settings.load()
    (settings.data_dir / "mlflow").mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # 414 MB instead of 2.5 GB
    os.environ.update(storage_credentials(settings))
    arguments = command(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
