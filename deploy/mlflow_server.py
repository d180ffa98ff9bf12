"""Runs the MLflow server of `make up` and of the compose stack: artifacts behind the server, nothing that runs code.

`python -m deploy.mlflow_server [ADDRESS]`: trainings come in at that address, a name or an IPv4 address of this
machine, and at the port of TRACKING_GUARD_URI.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from deploy.artifact_store import place_of, refuse_a_silent_change, storage_credentials
from shared.addresses.database_url import parse_database_url
from shared.errors import ConfigurationError
from shared.own_addresses import HOST_FROM_CONTAINER, is_this_machine, reachable_at
from shared.own_files import keep_files_private
from shared.proxies import go_directly_to_own_parts
from shared.settings import Settings

PLUGIN = Path(__file__).resolve().parent / "mlflow_plugin"  # registers deploy.mlflow_guard.own_server with MLflow
# Tell the server, which this process becomes. MLflow has its own meaning for MLFLOW_TRACKING_URI there.
TRAININGS_ADDRESS, TRACKING_URI = "RETRAIN_TRAININGS_ADDRESS", "RETRAIN_TRACKING_URI"
DEFAULT_PORT = 5007
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
    return [
        *(
            sys.executable,
            "-m",
            "deploy.mlflow_in_place",
            "server",
            "--host",
            settings.mlflow_server_host,
            "--port",
            str(port_of(settings)),
        ),
        *("--artifacts-destination", place_of(settings, settings.artifacts_destination)),
        *("--app-name", "retrain", "--workers", "1", "--uvicorn-opts", QUIET),
    ]


def answered(settings: Settings) -> dict[str, str]:
    """Return the hosts and origins that the server answers, as variables: MLflow reads them as it is loaded."""
    port = port_of(settings)
    own = reachable_at(settings.mlflow_server_host)
    hosts = [f"{name}:{port}" for name in dict.fromkeys(("localhost", "127.0.0.1", own, HOST_FROM_CONTAINER))]
    others = sorted(settings.mlflow_allowed_hosts)
    pages = [f"{scheme}://{host}" for host in others for scheme in ("http", "https")]
    return {
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join([*hosts, *others]),
        # otherwise its own pages cannot change anything
        **({"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(pages)} if pages else {}),
    }


def is_own(settings: Settings) -> bool:
    """Return whether this service's tracking server is the one that runs here, and not somebody else's."""
    return is_this_machine(urlsplit(settings.mlflow_tracking_uri).hostname)


def port_of(settings: Settings) -> int:
    """Return the port at which people reach the server that runs here."""
    asked = urlsplit(settings.mlflow_tracking_uri).port
    return asked if asked and is_own(settings) else DEFAULT_PORT


def backend_store(settings: Settings) -> str:
    """Return where runs and models are recorded; passed by the environment, because it may contain a password."""
    url = settings.mlflow_database_url.get_secret_value()
    if not url:
        return f"sqlite:///{(settings.data_dir / 'mlflow').resolve() / 'mlflow.db'}"
    return parse_database_url(url, "MLFLOW_DATABASE_URL").render_as_string(hide_password=False)


def trainings_side(settings: Settings, arguments: Sequence[str]) -> dict[str, str]:
    """Return what tells the server where trainings come in; nothing where they come in as people do."""
    if not arguments:
        return {}
    if not (settings.tracking_guard_key.get_secret_value() and urlsplit(settings.tracking_guard_uri).port):
        raise ConfigurationError(
            f"Trainings come in at {arguments[0]}. Set TRACKING_GUARD_KEY (`make secrets` makes it from SECRET_KEY, "
            "which the workers have), and a port in TRACKING_GUARD_URI."
        )
    return {TRAININGS_ADDRESS: arguments[0], TRACKING_URI: settings.mlflow_tracking_uri}


def _give(credentials: Mapping[str, str]) -> None:
    """Put them where clients of a storage look, in the place of the files that need not be read again."""
    os.environ.update(credentials)
    for name in [each for each in os.environ if each.upper().removesuffix("_FILE") in credentials]:
        if name not in credentials:
            del os.environ[name]


def main() -> None:
    """Replace this process by the server."""
    settings = Settings.load()
    keep_files_private()
    go_directly_to_own_parts(os.environ, settings)
    _give(storage_credentials(settings))
    try:
        refuse_a_silent_change(settings)
        os.environ["MLFLOW_BACKEND_STORE_URI"] = backend_store(settings)
        os.environ.update(trainings_side(settings, sys.argv[1:]))
    except ConfigurationError as error:
        sys.exit(error.message)
    os.environ.update(SWITCHED_OFF | answered(settings))
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # they are for MLflow's authors, and look like faults
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PLUGIN), str(PLUGIN.parent.parent)])
    arguments = command(settings)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
