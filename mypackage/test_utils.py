"""Fetches a model and a test set to evaluate it on, under the predecessor's function names. Contains no tests."""

from pathlib import Path

import mlflow

from .dataset.errors import DatasetError
from .prep_utils import fetch_archive

TEST_SET = "test_set"


def get_model_from_mlflow(uri: str) -> str:
    """Download what the URI names, such as models:/name/version, into the working folder, and return its path."""
    return str(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path="./"))


def test_set_prep(ds_uri: str) -> tuple[str, str]:
    """Unpack the archive at the URL into the folder test_set, and return its folders of images and annotations.

    Their names begin with "data" and "ann".
    """
    fetch_archive(ds_uri, Path(TEST_SET))
    return _folder("data"), _folder("ann")


test_set_prep.__test__ = False  # type: ignore[attr-defined]  # pytest must not run it because of its name


def _folder(start: str) -> str:
    names = sorted(path.name for path in Path(TEST_SET).iterdir())
    found = [name for name in names if name.startswith(start)]
    if not found:
        raise DatasetError(f"The test set has no folder whose name begins with '{start}' (it has: {', '.join(names)}).")
    return f"{TEST_SET}/{found[0]}"
