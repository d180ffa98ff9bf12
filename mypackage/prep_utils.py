"""Fetching a dataset, and the model to start from, into the training's working folder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from .dataset import azure_blob, dvc_repository, http, local
from .dataset.addresses import keep_to_pin
from .dataset.archives import ArchiveLimits
from .dataset.cache import Cache
from .dataset.errors import DatasetError
from .dataset.git import clone
from .dataset.lfs_pointers import refuse_pointers
from .dataset.records import DatasetRecord, record
from .protocol import PINNED_DATASET_VARIABLE

__all__ = ["DatasetError", "base_model_path", "clone", "data_and_model_prep", "fetch_archive", "fetch_dvc_dataset"]

ORIGINS = ("http", "dvc_repo", "azure_blob", "local")
MODEL_FOLDER = "version"
ADDRESSES_EXAMPLE = '{"dataset": "https://…/data.zip", "model": "https://…/model.zip"}'


def data_and_model_prep(
    dst_dir: str = "new_dataset", repo_url: str = "", ds_origin: str = "http", json_dir: str = "data_uri.json"
) -> None:
    """Put the dataset's files into ``dst_dir``, and record on the MLflow run what they are.

    "dvc_repo" takes the DVC-tracked folder or file that ``repo_url`` names as URL@rev:path; without the path, the one
    at the repository's top. "http" takes the archive that the file ``json_dir`` names as {"dataset": URL}, with its
    checksum as {"dataset_sha256": …} or at the URL's end, #sha256=…. Where that file exists and names a {"model": URL}
    too, the archive of the base model is unpacked into the folder ``version``. "azure_blob" takes the blobs under
    ``repo_url``, https://account.blob.core.windows.net/container/prefix; "local" the folder or archive there.
    """
    if ds_origin not in ORIGINS:
        raise DatasetError(f"ds_origin is {ds_origin!r}; it must be one of: {', '.join(ORIGINS)}.")
    Path(dst_dir).mkdir(parents=True, exist_ok=True)
    addresses = _read_addresses(Path(json_dir), required=ds_origin == "http")
    if "model" in addresses:
        fetch_archive(addresses["model"], Path(MODEL_FOLDER), sha256=addresses.get("model_sha256", ""))
    fetched = _fetch(ds_origin, repo_url, Path(dst_dir), addresses)
    refuse_pointers(Path(dst_dir), shown=fetched.repo or ds_origin)
    record(fetched)


def base_model_path(base_model: str | None, dst_dir: str = "base_model") -> str | None:
    """Download the model to start from and return its folder; None where ``base_model`` is empty or "None".

    ``base_model`` is an MLflow run id, models:/name/version or models:/name@alias. The folder is one of its own inside
    ``dst_dir``, with the model as MLflow keeps it: mlflow.sklearn.load_model(path), or open the files. What it was is
    recorded on the MLflow run. Where there is no such model, the error names what there is.
    """
    from . import base_models  # noqa: PLC0415 - it needs MLflow, without which datasets are fetched, too

    if base_model is None or base_model in base_models.NOTHING:
        return None
    return base_models.path_of(base_model, Path(dst_dir))


def _fetch(ds_origin: str, repo_url: str, target: Path, addresses: Mapping[str, str]) -> DatasetRecord:
    match ds_origin:
        case "dvc_repo":
            return fetch_dvc_dataset(repo_url, target)
        case "azure_blob":
            return azure_blob.fetch(repo_url, target, cache=Cache.of(os.environ))
        case "local":
            return local.fetch(repo_url, target, limits=ArchiveLimits.of(os.environ))
    return fetch_archive(addresses["dataset"], target, sha256=addresses.get("dataset_sha256", ""))


def fetch_archive(url: str, target: Path, *, sha256: str = "") -> DatasetRecord:
    """Download a zip or tar archive and unpack it into the folder."""
    return http.fetch(url, target, sha256=sha256, cache=Cache.of(os.environ), limits=ArchiveLimits.of(os.environ))


def fetch_dvc_dataset(repo_url: str, target: Path) -> DatasetRecord:
    """Put what the git repository tracks with DVC into the folder; ``repo_url`` is URL, URL@rev or URL@rev:path."""
    pinned = keep_to_pin(repo_url, os.environ.get(PINNED_DATASET_VARIABLE, ""))
    return dvc_repository.fetch(pinned, target, cache=Cache.of(os.environ))


def _read_addresses(file: Path, *, required: bool) -> dict[str, str]:
    if not file.exists() and not required:
        return {}
    try:
        addresses: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"'{file}' must be a JSON file like {ADDRESSES_EXAMPLE}; reading it failed: {error}"
        ) from error
    if required and "dataset" not in addresses:
        raise DatasetError(f"'{file}' names no dataset; it must be like {ADDRESSES_EXAMPLE}.")
    return addresses
