"""Starts the guard: `python -m deploy.mlflow_guard ADDRESS` listens there, at the port of TRACKING_GUARD_URI."""

import os
import sys
from urllib.parse import urlsplit

import uvicorn

from deploy.mlflow_guard.attempt_keys import attempt_keys
from deploy.mlflow_guard.layer import Guard
from deploy.mlflow_guard.routes import decide_for_training
from deploy.mlflow_guard.trainings import Trainings
from deploy.mlflow_guard.upstream import Upstream
from shared import logs
from shared.live_secrets import environment, redactor_of
from shared.proxies import go_directly_to_own_parts
from shared.settings import Settings

STOP_SECONDS = 5  # for transfers under way; MLflow's clients retry


def main() -> int:
    """Serve until told to stop."""
    settings = Settings.load()
    go_directly_to_own_parts(os.environ, settings)
    port = urlsplit(settings.tracking_guard_uri).port
    if len(sys.argv) != 2 or port is None:
        sys.stderr.write("usage: TRACKING_GUARD_URI=http://NAME:PORT python -m deploy.mlflow_guard ADDRESS\n")
        return 2
    key = settings.tracking_guard_key.get_secret_value()
    if not key:
        sys.stderr.write("Set TRACKING_GUARD_KEY: `make secrets` makes it from SECRET_KEY, which the workers have.\n")
        return 2
    address, keys = sys.argv[1], attempt_keys(key, environment())
    logs.configure(settings.log_level, settings.log_format, redactor_of(settings, environment()))
    upstream = Upstream(settings, address)
    app = Guard(upstream, decide=decide_for_training, policy=Trainings(upstream, keys))
    uvicorn.run(
        app,
        host=address,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # which a training could forge
        server_header=False,
        date_header=False,  # MLflow's comes with its answer
        lifespan="on",
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
