"""What MLflow's REST API answers, as far as the service reads it. Pure; wrong shapes raise KeyError and the like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunInfo:
    """A run without what it logged. ``end_time`` is in milliseconds since 1970."""

    run_id: str
    experiment_id: str
    status: str
    end_time: int | None
    lifecycle_stage: str
    artifact_uri: str


@dataclass(frozen=True)
class RunData:
    """What a run logged: of each metric the last value."""

    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A run."""

    info: RunInfo
    data: RunData


@dataclass(frozen=True)
class Experiment:
    """An experiment; a deleted one keeps its name."""

    experiment_id: str
    lifecycle_stage: str


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model."""

    name: str
    version: str
    run_id: str | None
    source: str
    model_id: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class LoggedModel:
    """A model that a run logged, registered or not."""

    source_run_id: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model with its aliases."""

    name: str
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class FileInfo:
    """An artifact's path in its run, and its size in bytes."""

    path: str
    is_dir: bool
    file_size: int | None


def experiment_in(answer: Mapping[str, Any]) -> Experiment:
    """Return the answer's experiment."""
    found = answer["experiment"]
    return Experiment(str(found["experiment_id"]), str(found.get("lifecycle_stage", "active")))


def run_in(answer: Mapping[str, Any]) -> Run:
    """Return the answer's run."""
    return _run(answer["run"])


def runs_in(answer: Mapping[str, Any]) -> list[Run]:
    """Return the answer's runs, in its order."""
    return [_run(each) for each in answer.get("runs", [])]


def files_in(answer: Mapping[str, Any]) -> list[FileInfo]:
    """Return the answer's files and folders."""
    return [_file(each) for each in answer.get("files", [])]


def version_in(answer: Mapping[str, Any]) -> ModelVersion:
    """Return the answer's version."""
    return _version(answer["model_version"])


def versions_in(answer: Mapping[str, Any]) -> list[ModelVersion]:
    """Return the answer's versions, in its order."""
    return [_version(each) for each in answer.get("model_versions", [])]


def logged_model_in(answer: Mapping[str, Any]) -> LoggedModel:
    """Return the answer's logged model."""
    info = answer["model"]["info"]
    return LoggedModel(info.get("source_run_id") or None, _texts(info.get("tags", [])))


def model_in(answer: Mapping[str, Any]) -> RegisteredModel:
    """Return the answer's model."""
    return _model(answer["registered_model"])


def models_in(answer: Mapping[str, Any]) -> list[RegisteredModel]:
    """Return the answer's models."""
    return [_model(each) for each in answer.get("registered_models", [])]


def pairs(texts: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags or parameters as MLflow takes them."""
    return [{"key": key, "value": value} for key, value in texts.items()]


def _texts(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(each["key"]): str(each.get("value", "")) for each in found}


def _run(answer: Mapping[str, Any]) -> Run:
    info, data = answer["info"], answer.get("data", {})
    ended = info.get("end_time")
    return Run(
        RunInfo(
            str(info["run_id"]),
            str(info["experiment_id"]),
            str(info.get("status", "RUNNING")),
            int(ended) if ended else None,
            str(info.get("lifecycle_stage", "active")),
            str(info.get("artifact_uri", "")),
        ),
        RunData(
            {str(each["key"]): float(each.get("value", 0)) for each in data.get("metrics", [])},
            _texts(data.get("tags", [])),
        ),
    )


def _file(answer: Mapping[str, Any]) -> FileInfo:
    size = answer.get("file_size")
    return FileInfo(str(answer["path"]), bool(answer.get("is_dir")), None if size is None else int(size))


def _version(answer: Mapping[str, Any]) -> ModelVersion:
    return ModelVersion(
        str(answer["name"]),
        str(answer["version"]),
        answer.get("run_id") or None,
        str(answer.get("source", "")),
        answer.get("model_id") or None,
        _texts(answer.get("tags", [])),
    )


def _model(answer: Mapping[str, Any]) -> RegisteredModel:
    aliases = {str(each["alias"]): str(each["version"]) for each in answer.get("aliases", [])}
    return RegisteredModel(str(answer["name"]), aliases)
