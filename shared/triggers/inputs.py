"""What a job trains on, to be compared with what its trigger's last success trained on. Pure."""

from collections.abc import Mapping
from typing import Any

OF_REQUEST = ("git_uri", "MLproject_location", "entry_point", "parameters", "base_model", "dataset_repo")


def inputs_of(
    request: Mapping[str, Any],
    *,
    commit_sha: str | None,
    data: str | None,
    base_model_version: str | None,
    watched: str | None = None,
) -> Mapping[str, Any] | None:
    """Return the inputs; None if the commit, or the data that the request names, is not known.

    ``data`` is the pinned address of a git repository, or what a look found of anything else. ``watched`` is what a
    look found of data that the trigger watches and its template does not name.
    """
    if commit_sha is None or (data is None and request.get("dataset_repo")):
        return None
    asked = {name: request[name] for name in OF_REQUEST if name in request}
    return {**asked, "commit": commit_sha, "data": data, "watched": watched, "base_model_version": base_model_version}


def inputs_of_job(
    request: Mapping[str, Any],
    *,
    commit_sha: str | None,
    dataset_repo: str | None,
    base_model_version: str | None,
    triggered_by: Mapping[str, Any] | None,
) -> Mapping[str, Any] | None:
    """Return the inputs of a job that a trigger made, from its record."""
    by = triggered_by or {}
    data, watched = dataset_repo or by.get("data"), by.get("watched")
    return inputs_of(request, commit_sha=commit_sha, data=data, base_model_version=base_model_version, watched=watched)
