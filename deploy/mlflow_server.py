"""Runs the MLflow server of `make up` and of the compose stack: artifacts behind the server, nothing that runs code."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from deploy.artifact_store import place_of, refuse_a_silent_change, storage_credentials
from shared.addresses.database_url import parse_database_url
from shared.errors import ConfigurationError
from shared.own_addresses import HOST_FROM_CONTAINER, reachable_at
from shared.own_files import keep_files_private
from shared.proxies import go_directly_to_own_parts
from shared.settings import Settings

PLUGIN = Path(__file__).resolve().parent / "mlflow_plugin"  # registers deploy.mlflow_guard.own_server with MLflow
# What MLflow itself can be told to leave alone. Its assistant has no such switch: own_server shuts it, and more.
SWITCHED_OFF = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 414 MB instead of 2.5 GB, too
    "MLFLOW_SERVER_JOB_ENABLE_PERIODIC_TASKS": "false",
    "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_ENABLE_MCP_TOOL_DISCOVERY": "false",
    "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
# A line for each request would hide all others; and a page that is left open must not keep it from stopping.
QUIET = "--no-access-log --timeout-graceful-shutdown 2"


def command(settings: Settings) -> list[str]:
    """Return the server's command line."""
    port = urlsplit(settings.mlflow_tracking_uri).port or 5007
    own = reachable_at(settings.mlflow_server_host)
    hosts = [f"{name}:{port}" for name in dict.fromkeys(("localhost", "127.0.0.1", own, HOST_FROM_CONTAINER))]
    others = sorted(settings.mlflow_allowed_hosts)
    pages = [f"{scheme}://{host}" for host in others for scheme in ("http", "https")]
    return [
        *(
            sys.executable,
            "-m",
            "deploy.mlflow_in_place",
            "server",
            "--host",
            settings.mlflow_server_host,
            "--port",
            str(port),
        ),
        *("--artifacts-destination", place_of(settings, settings.artifacts_destination)),
        *("--app-name", "retrain", "--workers", "1", "--allowed-hosts", ",".join([*hosts, *others])),
        *("--uvicorn-opts", QUIET),
        *(
            ("--cors-allowed-origins", ",".join(pages)) if pages else ()
        ),  # otherwise its own pages cannot change anything
    ]


def backend_store(settings: Settings) -> str:
    """Return where runs and models are recorded; passed by the environment, because it may contain a password."""
    url = settings.mlflow_database_url.get_secret_value()
    if not url:
        return f"sqlite:///{(settings.data_dir / 'mlflow').resolve() / 'mlflow.db'}"
    return parse_database_url(url, "MLFLOW_DATABASE_URL").render_as_string(hide_password=False)


def main() -> None:
    """Replace this process by the server."""
    settings = Settings.load()
    keep_files_private()
    go_directly_to_own_parts(os.environ, settings)
    os.environ.update(storage_credentials(settings))
    try:
        refuse_a_silent_change(settings)
        os.environ["MLFLOW_BACKEND_STORE_URI"] = backend_store(settings)
    except ConfigurationError as error:
        sys.exit(error.message)
    os.environ.update(SWITCHED_OFF)
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # they are for MLflow's authors, and look like faults
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PLUGIN), str(PLUGIN.parent.parent)])
    arguments = command(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
