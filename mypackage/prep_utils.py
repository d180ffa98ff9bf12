"""Fetches a dataset, and the model to start from, into the training's working folder."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from .dataset import origins
from .dataset.dvc_repository import DvcRepository
from .dataset.errors import DatasetError
from .dataset.git import clone
from .dataset.http import HttpArchive, with_checksum
from .dataset.lfs_pointers import refuse_pointers
from .dataset.records import DatasetRecord, record

__all__ = ["DatasetError", "base_model_path", "clone", "data_and_model_prep", "fetch_archive", "fetch_dvc_dataset"]

FROM_FILE = "http"  # its address is in the file json_dir, as with the predecessor; any other's is repo_url
MODEL_FOLDER = "version"
ADDRESSES_EXAMPLE = '{"dataset": "https://…/data.zip", "model": "https://…/model.zip"}'


def data_and_model_prep(
    dst_dir: str = "new_dataset", repo_url: str = "", ds_origin: str = "http", json_dir: str = "data_uri.json"
) -> None:
    """Put the dataset's files into ``dst_dir``, and record on the MLflow run what they are.

    "dvc_repo" fetches the DVC-tracked folder or file that ``repo_url`` names as URL@rev:path; without the path, the one
    at the repository's top. "http" fetches the archive that the file ``json_dir`` names as {"dataset": URL}, with its
    checksum as {"dataset_sha256": …} or at the URL's end, #sha256=…. If that file exists and also names a
    {"model": URL}, that archive of a base model is unpacked into the folder ``version``. "azure_blob" fetches the blobs
    under ``repo_url``, https://account.blob.core.windows.net/container/prefix; "local" copies the folder or archive
    there. Any other name is that of an origin of another distribution (dataset/origins.py).
    """
    origin = origins.load(ds_origin).of(os.environ)
    Path(dst_dir).mkdir(parents=True, exist_ok=True)
    addresses = _read_addresses(Path(json_dir), required=ds_origin == FROM_FILE)
    if "model" in addresses:
        fetch_archive(addresses["model"], Path(MODEL_FOLDER), sha256=addresses.get("model_sha256", ""))
    address = _from_file(addresses) if ds_origin == FROM_FILE else repo_url
    fetched = origins.fetch(origin, address, Path(dst_dir))
    refuse_pointers(Path(dst_dir), shown=fetched.repo or ds_origin)
    record(fetched)


def base_model_path(base_model: str | None, dst_dir: str = "base_model") -> str | None:
    """Download the model to start from and return its folder; None if ``base_model`` is empty or "None".

    ``base_model`` is an MLflow run id, models:/name/version or models:/name@alias. The model gets a folder of its own
    inside ``dst_dir``, in MLflow's format: use mlflow.sklearn.load_model(path), or open the files. The model is
    recorded on the MLflow run. If there is no such model, the error lists what exists.
    """
    from . import base_models  # noqa: PLC0415 - it needs MLflow, which fetching datasets does not

    if base_model is None or base_model in base_models.NOTHING:
        return None
    return base_models.path_of(base_model, Path(dst_dir))


def fetch_archive(url: str, target: Path, *, sha256: str = "") -> DatasetRecord:
    """Download a zip or tar archive and unpack it into the folder."""
    return origins.fetch(HttpArchive.of(os.environ), with_checksum(url, sha256), target)


def fetch_dvc_dataset(repo_url: str, target: Path) -> DatasetRecord:
    """Put what the git repository tracks with DVC into the folder; ``repo_url`` is URL, URL@rev or URL@rev:path."""
    return origins.fetch(DvcRepository.of(os.environ), repo_url, target)


def _from_file(addresses: Mapping[str, str]) -> str:
    return with_checksum(addresses["dataset"], addresses.get("dataset_sha256", ""))


def _read_addresses(file: Path, *, required: bool) -> dict[str, str]:
    if not file.exists() and not required:
        return {}
    try:
        addresses: dict[str, str] = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"'{file}' must be a JSON file like {ADDRESSES_EXAMPLE}; reading it failed: {error}"
        ) from None
    if required and "dataset" not in addresses:
        raise DatasetError(f"'{file}' names no dataset; it must be like {ADDRESSES_EXAMPLE}.")
    return addresses
