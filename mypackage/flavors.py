"""Logs a model object to the active run with the right MLflow flavor, on MLflow 2.x and 3.x clients."""

import importlib
import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

# The first package in a model's class hierarchy that is listed here decides: a user's own torch.nn.Module is a
# PyTorch model, an XGBClassifier is XGBoost's although it is a scikit-learn estimator too.
FLAVORS = {
    "catboost": "mlflow.catboost",
    "keras": "mlflow.keras",
    "lightgbm": "mlflow.lightgbm",
    "lightning": "mlflow.pytorch",
    "mlflow": "mlflow.pyfunc",
    "onnx": "mlflow.onnx",
    "pytorch_lightning": "mlflow.pytorch",
    "sklearn": "mlflow.sklearn",
    "spacy": "mlflow.spacy",
    "statsmodels": "mlflow.statsmodels",
    "tensorflow": "mlflow.tensorflow",
    "torch": "mlflow.pytorch",
    "xgboost": "mlflow.xgboost",
}


def log_model(model: object, mlflow_model: Any, **wishes: Any) -> str:
    """Log the model as ``model`` to the active run and return its URI.

    ``mlflow_model`` is a flavor such as mlflow.sklearn; for a module without log_model, such as the documented
    mlflow.models, the flavor is found by the model's class. ``wishes`` that are not None are passed to the flavor.
    """
    flavor = mlflow_model if callable(getattr(mlflow_model, "log_model", None)) else find_flavor(model)
    accepted = inspect.signature(flavor.log_model).parameters
    options: dict[str, Any] = _name(accepted) | _requirements(flavor, accepted) | _serialization(model, accepted)
    options |= {name: value for name, value in wishes.items() if value is not None}
    if "python_model" in accepted:
        logged = flavor.log_model(python_model=model, **options)
    else:
        logged = flavor.log_model(model, **options)
    return str(logged.model_uri)


def find_flavor(model: object) -> Any:
    """Return the MLflow flavor of this model's library."""
    for kind in type(model).__mro__:
        if name := FLAVORS.get(kind.__module__.partition(".")[0]):
            return importlib.import_module(name)
    kind = type(model)
    raise ValueError(
        f"No MLflow flavor is known for a model of class {kind.__module__}.{kind.__qualname__}. "
        "Pass the flavor itself as mlflow_model, for example mlflow.sklearn or mlflow.pytorch."
    )


def _name(accepted: Any) -> dict[str, Any]:
    # MLflow 2.x calls it artifact_path, 3.x deprecates that.
    return {"artifact_path" if "artifact_path" in accepted and "name" not in accepted else "name": "model"}


def _requirements(flavor: Any, accepted: Any) -> dict[str, Any]:
    """Pass the flavor's default requirements: to find them, MLflow would load the model in a new process (8-10 s)."""
    defaults: Callable[..., list[str]] | None = getattr(flavor, "get_default_pip_requirements", None)
    if defaults is None or "pip_requirements" not in accepted:
        return {}
    parameters = inspect.signature(defaults).parameters.values()
    if any(parameter.default is parameter.empty for parameter in parameters):
        return {}
    # include_skops, include_cloudpickle: an unneeded requirement is harmless, a missing one breaks loading.
    switches = {
        parameter.name: find_spec(parameter.name.removeprefix("include_")) is not None
        for parameter in parameters
        if parameter.name.startswith("include_")
    }
    return {"pip_requirements": defaults(**switches)}


def _serialization(model: object, accepted: Any) -> dict[str, Any]:
    """Choose formats that need only the model, because the defaults of newer MLflow refuse many models."""
    if "serialization_format" not in accepted:
        return {}
    if "skops_trusted_types" not in accepted:
        return {"serialization_format": "pickle"}  # PyTorch: pt2 needs an input example, which we do not have
    trusted = _skops_types(model)
    if trusted is None:
        return {"serialization_format": "cloudpickle"}
    return {"serialization_format": "skops", "skops_trusted_types": trusted}


def _skops_types(model: object) -> list[str] | None:
    """Return the types that skops is to trust in this model, which this process built; None without skops."""
    try:
        skops = importlib.import_module("skops.io")  # optional: mlflow-skinny does not bring it
    except ImportError:
        return None
    try:
        types = skops.get_untrusted_types(data=skops.dumps(model))
    except (TypeError, AttributeError, ValueError):
        return None
    # skops stores a class by its import path, which for a class in train.py is meaningless in another process.
    return None if any(name.startswith("__main__.") for name in types) else list(types)
