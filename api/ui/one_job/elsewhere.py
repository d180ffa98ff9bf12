"""Tells where the things of a job are shown: its commit, data, image and base model. None where no address is known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from api.ui.git_pages import commit_page, repository_page
from shared.addresses.dataset_address import find_repository
from shared.links import model_version_page, run_page

IMAGE = re.compile(r"\A(?:(?P<host>[\w-]+\.[\w.-]+(?::\d+)?|localhost(?::\d+)?)/)?(?P<path>[a-z0-9._/-]+?)(?:[:@].*)?")
REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@.+)")
RUN_ID = re.compile(r"[0-9a-f]{32}")
HUB = "docker.io"


@dataclass(frozen=True)
class Place:
    """One thing that the job used: its name, and the page about it."""

    what: str
    name: str
    page: str | None = None
    more: str = ""


def places(job: Mapping[str, Any], mlflow: str | None) -> list[Place]:
    """Return what the job trained, in the order in which people ask."""
    request, resolved = job["request"], job["resolved"]
    found = [
        _repository(request),
        _commit(request, resolved),
        _data(request, resolved),
        _base(request, resolved, mlflow),
    ]
    if image := resolved["image"]:
        found.append(Place("Image", image, image_page(image), (resolved["image_id"] or "")[:19]))
    if model := job["model"]:
        name = f"{model['name']} version {model['version']}"
        found.append(Place("Registered", name, mlflow and model_version_page(mlflow, **model)))
    return [each for each in found if each is not None]


def run_of(job: Mapping[str, Any], run_id: str | None, mlflow: str | None) -> str | None:
    """Return the page of an attempt's run in MLflow; all attempts of a job are of one experiment."""
    experiment_id = (job["mlflow"] or {}).get("experiment_id")
    if mlflow is None or not run_id or experiment_id is None:
        return None
    return run_page(mlflow, experiment_id=experiment_id, run_id=run_id)


def image_page(image: str) -> str | None:
    """Return where the image's registry shows it to people."""
    found = IMAGE.fullmatch(image)
    if found is None:
        return None
    host, path = found["host"] or HUB, found["path"]
    match host:
        case "docker.io" | "index.docker.io":
            official = path.removeprefix("library/")
            return f"https://hub.docker.com/{'r/' + path if '/' in official else '_/' + official}"
        case "ghcr.io":
            return f"https://ghcr.io/{path}"
        case "quay.io":
            return f"https://quay.io/repository/{path}"
    return None


def _repository(request: Mapping[str, Any]) -> Place:
    folder = request.get("MLproject_location") or ""
    return Place("Repository", request["git_uri"], repository_page(request["git_uri"]), folder and f"folder {folder}")


def _commit(request: Mapping[str, Any], resolved: Mapping[str, Any]) -> Place:
    ref, sha = request["commit_hash"], resolved["commit_sha"]
    if sha is None:
        return Place("Commit", ref, commit_page(request["git_uri"], ref), "looked up when it starts")
    return Place("Commit", sha, commit_page(request["git_uri"], sha), "" if ref == sha else f"was {ref}")


def _data(request: Mapping[str, Any], resolved: Mapping[str, Any]) -> Place | None:
    data, asked = resolved["dataset"] or {}, request.get("dataset_repo") or ""
    named = find_repository(asked)
    repo = data.get("repo") or (named.url if named else asked)
    if not repo:
        return None
    rev = data.get("rev") or (named.rev if named else None)
    path = data.get("path") or (named.path if named else None)
    more = ", ".join(f"{word} {value}" for word, value in (("at", rev), ("path", path)) if value)
    return Place("Data", repo, commit_page(repo, rev) or (repository_page(repo) if "://" in repo else None), more)


def _base(request: Mapping[str, Any], resolved: Mapping[str, Any], mlflow: str | None) -> Place | None:
    used, asked = resolved["base_model"] or {}, request.get("base_model")
    name, version = used.get("name"), used.get("version") or resolved["base_model_version"]
    if found := REGISTERED.fullmatch(asked or ""):
        name, version = name or found["name"], version or found["version"]
    if name and version:
        page = mlflow and model_version_page(mlflow, name=name, version=version)
        return Place("Base model", f"{name} version {version}", page, asked or "")
    if not asked or asked == "None":
        return None
    # MLflow finds the experiment of a run by itself.
    page = f"{mlflow}/#/runs/{quote(asked)}" if mlflow and RUN_ID.fullmatch(asked) else None
    return Place("Base model", asked, page)
