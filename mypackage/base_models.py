"""Finds the model to start from, which ``base_model`` names in MLflow, downloads it, and records it on the run."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from .dataset.cache import Cache
from .dataset.records import find_run_id
from .protocol import BASE_MODEL_TAGS, NO_BASE_MODEL, REGISTERED_MODEL

NOTHING = ("", NO_BASE_MODEL)
FORMS = f"an MLflow run id, models:/name/version, models:/name@alias or {NO_BASE_MODEL}"
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # the second: no such alias, or an invalid id
SHOWN, COMPARED = 5, 1000  # names in an error: the service shows 300 characters of it


class BaseModelError(RuntimeError):
    """There is no such base model; the message says what exists instead."""


@dataclass(frozen=True)
class BaseModel:
    """A model in MLflow; name and version are empty if a run was named. ``source`` is never another model."""

    source: str
    run_id: str
    name: str = ""
    version: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """The run's tags; the service shows them as the job's resolved base model."""
        return {f"{BASE_MODEL_TAGS}{name}": value for name, value in asdict(self).items()}

    @property
    def uri(self) -> str:
        """The URI by which MLflow downloads it."""
        return f"models:/{self.name}/{self.version}" if self.name else self.source

    @property
    def folder_name(self) -> str:
        """A name for its folder, next to those of other models."""
        return f"{self.name}-{self.version}" if self.name else self.run_id


def find(client: MlflowClient, base_model: str) -> BaseModel:
    """Return the model that a version, an alias or a run id means now. Raises BaseModelError."""
    if not base_model.startswith("models:"):
        return _model_of_run(client, base_model)
    asked = REGISTERED_MODEL.match(base_model)
    if asked is None:
        raise BaseModelError(f"base_model is '{base_model}'; it must be {FORMS}.")
    found = _find_version(client, asked["name"], asked["version"], asked["alias"])
    return BaseModel(str(found.source), found.run_id or "", found.name, str(found.version))


def bring(base: BaseModel, target: Path, cache: Cache) -> None:
    """Put its files into the folder, downloading them once for all jobs that share the cache."""

    def fill(folder: Path) -> str:
        downloaded = Path(mlflow.artifacts.download_artifacts(artifact_uri=base.uri, dst_path=str(folder / "download")))
        if not (downloaded / "MLmodel").exists():  # for MLflow, downloading nothing is a success
            raise BaseModelError(f"base_model: the files of {base.uri} are gone from where MLflow kept them.")
        downloaded.replace(folder / "files")
        return base.source

    # A model that is deleted and created again starts at version 1, but has another source.
    cache.bring(f"mlflow {base.uri} {base.source}", target, fill)


def record(client: MlflowClient, base: BaseModel) -> None:
    """Record on the run, if there is one, which model was used."""
    if run_id := find_run_id(mlflow):
        for name, value in base.tags.items():
            client.set_tag(run_id, name, value)


def path_of(base_model: str, folder: Path) -> str:
    """Find the model, download it into a subfolder, record it, and return that subfolder."""
    client = MlflowClient()
    base = find(client, base_model)
    target = folder / base.folder_name
    bring(base, target, Cache.of(os.environ))
    record(client, base)
    return str(target)


def _find_version(client: MlflowClient, name: str, version: str | None, alias: str | None) -> ModelVersion:
    try:
        if version:
            return client.get_model_version(name, version)
        return client.get_model_version_by_alias(name, alias or "")
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        raise BaseModelError(_what_is_there(client, name, version, alias)) from None


def _what_is_there(client: MlflowClient, name: str, version: str | None, alias: str | None) -> str:
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        return f"base_model: there is no model '{name}' (there is: {_models(client, like=name)})."
    if alias:
        return f"base_model: model '{name}' has no alias '{alias}' (it has: {_listed(sorted(model.aliases))})."
    quote = '"' if "'" in name else "'"
    newest = client.search_model_versions(
        f"name={quote}{name}{quote}", max_results=SHOWN + 1, order_by=["version_number DESC"]
    )
    return f"base_model: model '{name}' has no version {version} (it has: {_listed(str(v.version) for v in newest)})."


def _model_of_run(client: MlflowClient, run_id: str) -> BaseModel:
    try:
        experiment_id = client.get_run(run_id).info.experiment_id
    except MlflowException as error:
        if error.error_code not in NOT_THERE:
            raise
        there = _models(client, like=run_id)
        raise BaseModelError(f"base_model: there is no run '{run_id:.64}'. Give {FORMS} (models: {there}).") from None
    source = _find_logged_model(client, run_id, experiment_id) or _find_model_folder(client, run_id)
    if source is None:
        files = _listed(file.path for file in client.list_artifacts(run_id))
        raise BaseModelError(f"base_model: run {run_id} has logged no model (its artifacts: {files}).")
    return BaseModel(source, run_id)


def _find_logged_model(client: MlflowClient, run_id: str, experiment_id: str) -> str | None:
    """Return the run's last logged model, for MLflow 3."""
    search = getattr(client, "search_logged_models", None)
    if search is None:
        return None
    newest_first = [{"field_name": "creation_timestamp", "ascending": False}]
    found = search([experiment_id], filter_string=f"source_run_id='{run_id}'", order_by=newest_first)
    ready = [f"models:/{each.model_id}" for each in found if str(each.status) == "READY"]
    return ready[0] if ready else None


def _find_model_folder(client: MlflowClient, run_id: str) -> str | None:
    """Return the folder of a model among the run's artifacts, where MLflow 2 puts it."""
    folders = [file.path for file in client.list_artifacts(run_id) if file.is_dir]
    for folder in folders:
        if f"{folder}/MLmodel" in [file.path for file in client.list_artifacts(run_id, folder)]:
            return f"runs:/{run_id}/{folder}"
    return None


def _models(client: MlflowClient, *, like: str) -> str:
    names = [model.name for model in client.search_registered_models(max_results=COMPARED)]
    return _listed(get_close_matches(like, names, SHOWN) or names)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join([*every[:SHOWN], *(["…"] if len(every) > SHOWN else [])]) or "none"
