"""Our own MLflow server's app behind the guard. MLflow starts it as its plug-in 'retrain' (deploy/mlflow_plugin)."""

from typing import cast

from deploy.mlflow_guard.layer import App, Guard
from deploy.mlflow_guard.routes import decide_for_people


def app() -> App:
    """Return MLflow's app without the routes that would let anybody run things on this machine."""
    from mlflow.server.fastapi_app import app as mlflow_app  # noqa: PLC0415 - not for who only looks for app

    return Guard(cast(App, mlflow_app), decide=decide_for_people)
