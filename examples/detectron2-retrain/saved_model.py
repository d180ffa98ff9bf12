"""The detector's own MLflow flavor: its weights, configuration and classes, with the code that loads them.

Weights and not a pickled model, so that a later training can start from them with other classes or another schedule.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import detector
import mlflow

FOLDER, WEIGHTS = "detector", "model.pth"
DETECTRON2 = "detectron2 @ git+https://github.com/facebookresearch/detectron2.git"
REQUIREMENTS = ("torch", "opencv-python-headless", DETECTRON2)


def write(output: Path, *, weights: Path, config: str, classes: Sequence[str]) -> Path:
    """Put together what makes up a model, in a folder in this one, and return that."""
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / WEIGHTS)
    (folder / "config.yaml").write_text(config)
    (folder / "classes.json").write_text(json.dumps(list(classes)))
    return folder


def log_model(model: Path, name: str) -> Any:
    """Log it to the active run; mypackage's gate calls this as it calls mlflow.sklearn.log_model."""
    return mlflow.pyfunc.log_model(
        name=name,
        loader_module=detector.__name__,
        code_paths=[detector.__file__],
        data_path=str(model),
        pip_requirements=[f"mlflow-skinny=={mlflow.__version__}", "pandas", *REQUIREMENTS],
    )


def find_weights(base_model: Path) -> Path:
    """Return the weights in a model that was logged by an earlier training. Raises FileNotFoundError."""
    weights = base_model / "data" / FOLDER / WEIGHTS
    if not weights.is_file():
        names = ", ".join(sorted(each.name for each in base_model.iterdir())) or "nothing"
        raise FileNotFoundError(f"base_model is no model of this project: it has no {WEIGHTS} (it has: {names}).")
    return weights
