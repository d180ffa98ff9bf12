"""Fetching a dataset, and the model to start from, into the training's working folder."""

import base64
import importlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import requests  # MLflow's own HTTP library, so it is always here

CLONE_TIMEOUT_SECONDS = 600
HTTP_TIMEOUT_SECONDS = 60
CHUNK_BYTES = 1 << 20
MODEL_FOLDER = "version"
ADDRESSES_EXAMPLE = '{"dataset": "https://…/data.zip", "model": "https://…/model.zip"}'


class DatasetError(RuntimeError):
    """The dataset cannot be fetched; the message says why and what to do."""


def data_and_model_prep(
    dst_dir: str = "new_dataset", repo_url: str = "", ds_origin: str = "http", json_dir: str = "data_uri.json"
) -> None:
    """Put the dataset's files into ``dst_dir``.

    "dvc_repo" takes them from the DVC-tracked folder or file at the top of the git repository ``repo_url``. "http"
    takes the archive that the file ``json_dir`` names as {"dataset": URL}. Where that file exists and names a
    {"model": URL} too, the archive of the base model is unpacked into the folder ``version``.
    """
    if ds_origin not in ("http", "dvc_repo"):
        raise DatasetError(f"ds_origin is {ds_origin!r}; it must be 'http' or 'dvc_repo'.")
    Path(dst_dir).mkdir(parents=True, exist_ok=True)
    addresses = _read_addresses(Path(json_dir), required=ds_origin == "http")
    if "model" in addresses:
        fetch_archive(addresses["model"], Path(MODEL_FOLDER))
    if ds_origin == "dvc_repo":
        fetch_dvc_dataset(repo_url, Path(dst_dir))
    else:
        fetch_archive(addresses["dataset"], Path(dst_dir))


def fetch_archive(url: str, target: Path) -> None:
    """Download a zip or tar archive and unpack it into the folder."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https"):
        raise DatasetError(f"'{_shown(address)}' is no http or https address.")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / (Path(unquote(address.path)).name or "archive")
        try:
            _download(url, archive)
        except requests.RequestException as error:
            # The error's own text repeats the URL, with a signature or password that may be in it.
            what = error.response.status_code if error.response is not None else type(error).__name__
            raise DatasetError(f"Downloading '{_shown(address)}' failed: {what}.") from None
        _unpack(archive, target, shown=_shown(address))


def fetch_dvc_dataset(repo_url: str, target: Path) -> None:
    """Clone the repository, pull its one top-level dataset with DVC, and copy it into the folder."""
    dvc = _import_dvc()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "repository"
        clone(repo_url, folder)
        pointers = sorted(folder.glob("[!.]*.dvc"))
        if len(pointers) != 1:
            names = ", ".join(path.name for path in pointers) or "none"
            shown = _shown(urlsplit(repo_url))
            raise DatasetError(f"'{shown}' must have one .dvc file at its top, its dataset; it has: {names}.")
        try:
            with dvc.Repo(str(folder)) as repository:
                repository.pull(targets=[str(pointers[0])])
        except importlib.import_module("dvc.exceptions").DvcException as error:
            raise DatasetError(f"Pulling '{pointers[0].name}' with DVC failed: {error}") from error
        _copy(pointers[0].with_suffix(""), target)


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


def _download(url: str, file: Path) -> None:
    with requests.get(url, stream=True, timeout=HTTP_TIMEOUT_SECONDS) as response:
        response.raise_for_status()
        with file.open("wb") as out:
            for chunk in response.iter_content(CHUNK_BYTES):
                out.write(chunk)


def _unpack(archive: Path, target: Path, *, shown: str) -> None:
    # zipfile and the data filter refuse or strip what would land outside of the folder.
    options: dict[str, Any] = {} if archive.suffix == ".zip" else {"filter": "data"}
    try:
        shutil.unpack_archive(archive, target, **options)
    except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DatasetError(f"'{shown}' cannot be unpacked as a zip or tar archive: {error}") from error


def _import_dvc() -> Any:
    try:
        return importlib.import_module("dvc.repo")
    except ImportError as error:
        raise DatasetError(
            'A dataset from a DVC repository needs DVC in the training image: pip install "dvc", with the extra of the '
            'remote that the repository uses, for example "dvc[azure]".'
        ) from error


def clone(repo_url: str, folder: Path) -> None:
    """Clone the newest commit; the URL's password goes to git by its environment and stays out of the clone."""
    address = urlsplit(repo_url)
    shown = _shown(address)
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"} | _credentials(address)
    try:
        subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", "--", shown, str(folder)],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=CLONE_TIMEOUT_SECONDS,
        )
    except FileNotFoundError as error:
        raise DatasetError("A dataset from a DVC repository needs git in the training image.") from error
    except subprocess.TimeoutExpired as error:
        raise DatasetError(f"Cloning '{shown}' took longer than {CLONE_TIMEOUT_SECONDS} s.") from error
    except subprocess.CalledProcessError as error:
        raise DatasetError(f"Cloning '{shown}' failed: {error.stderr.strip()}") from error


def _credentials(address: SplitResult) -> dict[str, str]:
    """Return the URL's password as git configuration in the environment: in argv every process could read it."""
    if address.scheme not in ("http", "https") or not address.username:
        return {}
    pair = f"{unquote(address.username or '')}:{unquote(address.password or '')}"
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{address.scheme}://{_host(address)}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}",
    }


def _shown(address: SplitResult) -> str:
    """Return the URL without what may be secret: user, password, query."""
    if address.scheme in ("http", "https"):
        return address._replace(netloc=_host(address), query="", fragment="").geturl()
    return address.geturl()


def _host(address: SplitResult) -> str:
    return address.netloc.rpartition("@")[2]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
