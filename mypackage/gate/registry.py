"""What the gate needs of the model registry beside the champion: whether there is a model, and a new version."""

from collections.abc import Mapping

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

_NO_SUCH_THING = "RESOURCE_DOES_NOT_EXIST"


def model_exists(client: MlflowClient, model_name: str) -> bool:
    """Return whether the registry has a model of this name."""
    try:
        client.get_registered_model(model_name)
    except MlflowException as error:
        if error.error_code == _NO_SUCH_THING:
            return False
        raise
    return True


def register(model_uri: str, model_name: str, tags: Mapping[str, str]) -> str:
    """Register the logged model as a new version and return its number."""
    return str(mlflow.register_model(model_uri, model_name, tags=dict(tags)).version)
