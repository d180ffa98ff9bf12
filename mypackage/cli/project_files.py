"""Writes what a project needs beside its training script: an MLproject file and a Dockerfile. Pure."""

import json
import re
import shlex
from collections.abc import Collection, Sequence

from .script_options import Option

PYTHON = "python:3.11-slim"
MLFLOW = "mlflow-skinny>=3"
# What is installed for what is imported. For others nothing is guessed: a package may have any name.
AS_IMPORTED = (
    "catboost",
    "datasets",
    "joblib",
    "keras",
    "lightgbm",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
)
PACKAGES = {
    name: name for name in (*AS_IMPORTED, "seaborn", "torch", "torchvision", "tqdm", "transformers", "xgboost")
} | {
    "sklearn": "scikit-learn skops",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
}
OURS = ("mlflow", "mypackage")


def image_name(project: str) -> str:
    """Return a name for the project's image, in the characters that Docker takes."""
    return f"{re.sub(r'[^a-z0-9]+', '-', project.lower()).strip('-') or 'project'}:1"


def mlproject_text(project: str, script: str, options: Sequence[Option]) -> str:
    """Return an MLproject file that runs the script with its options as parameters."""
    words = [shlex.quote(script), *(_placed(option) for option in options)]
    lines = [f"name: {json.dumps(project)}", f"docker_env: {{image: {json.dumps(image_name(project))}}}"]
    lines += ["entry_points:", "  main:", *(["    parameters:"] if options else [])]
    lines += [f"      {option.name}: {_declared(option, project)}" for option in options]
    return "\n".join([*lines, f"    command: {json.dumps(' '.join(['python', *words]))}", ""])


def _placed(option: Option) -> str:
    value = f"{{{option.name}}}"
    return f"{option.flag} {value}" if option.flag.startswith("-") else value


def _declared(option: Option, project: str) -> str:
    default = project if option.default is None and option.name == "model_name" else option.default
    return f"{{type: {option.type}{'' if default is None else f', default: {json.dumps(default)}'}}}"


def dockerfile_text(imports: Collection[str], *, has_requirements: bool) -> str:
    """Return a Dockerfile with what the script imports, or with what the project's requirements.txt names."""
    if has_requirements:
        install = ["COPY requirements.txt /tmp/", f'RUN pip install --no-cache-dir "{MLFLOW}" -r /tmp/requirements.txt']
    else:
        packages = " ".join(PACKAGES[name] for name in sorted(imports) if name in PACKAGES)
        install = [f'RUN pip install --no-cache-dir "{MLFLOW}" {packages}'.rstrip()]
    return "\n".join([f"FROM {PYTHON}", *install, ""])


def not_installed(imports: Collection[str]) -> list[str]:
    """Return the imports for which no package is known."""
    return sorted(name for name in imports if name not in PACKAGES and name not in OURS)
