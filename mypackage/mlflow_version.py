"""Checks that the training image's MLflow is one that the registry of today understands."""

import re

OLDEST = (2, 3)  # the first with aliases; the service's server has left out 1.x's addresses of the registry


class MlflowTooOld(ImportError):
    """The training image has an MLflow that cannot speak to the service's registry."""


def require_mlflow(version: str) -> None:
    """Raise MlflowTooOld, at the beginning instead of at the end of a training; an odd version is let through."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise MlflowTooOld(
            f"mypackage needs MLflow {OLDEST[0]}.{OLDEST[1]} or newer in the training image; this one has {version}. "
            'Install a newer one there, such as pip install "mlflow-skinny>=3", and build the image again.'
        )
