"""Turns a job's record into what the API answers, and computes the ETag."""

import hashlib
from dataclasses import asdict
from typing import Any

from werkzeug.datastructures import ETags

from api.schemas import Job, JobSummary, Queue
from shared.addresses.dataset_address import find_repository
from shared.jobs import model as records
from shared.links import Links
from shared.requests.retrain_request import with_defaults
from shared.scheduling.queue_position import QueuePosition


def summary(job: records.Job, links: Links) -> JobSummary:
    """Return the job as it appears in a list."""
    return JobSummary.model_validate(_fields(job, links))


def whole_job(job: records.Job, links: Links, place: QueuePosition | None) -> Job:
    """Return the job with its history and its queue position."""
    queue = Queue(name=job.queue, **asdict(place)) if place else Queue(name=job.queue)
    return Job.model_validate({**_fields(job, links), "queue": queue, "transitions": job.transitions})


def _fields(job: records.Job, links: Links) -> dict[str, Any]:
    same = {name: getattr(job, name) for name in JobSummary.model_fields if hasattr(job, name)}
    result = job.result or {}
    versions = result.get("model_versions") or []
    return {
        **same,
        "trigger": job.trigger_name,
        "request": with_defaults(job.request),
        "had_credentials": job.had_secret,
        "queue": Queue(name=job.queue),
        "resolved": {
            **{name: getattr(job, name) for name in ("commit_sha", "image", "image_id", "base_model_version")},
            "dataset": result.get("dataset") or _pinned(job),
            "base_model": result.get("base_model"),
        },
        "mlflow": {"experiment_id": job.experiment_id, "run_id": job.run_id, "url": links.run(job)}
        if job.run_id
        else None,
        "model": {"name": versions[-1]["name"], "version": str(versions[-1]["version"])} if versions else None,
        "promotion": result.get("decision"),
        "metrics": result.get("metrics") or {},
        "refused": result.get("refused") or [],
        "links": {
            "self": links.job(job),
            "logs": links.logs(job),
            "mlflow": links.run(job),
            "flower": links.task(job),
        },
    }


def _pinned(job: records.Job) -> dict[str, str | None] | None:
    """Return the dataset as the first attempt pinned it, as long as no training has reported more."""
    repository = find_repository(job.dataset_repo or "")
    return {"repo": repository.url, "rev": repository.rev, "path": repository.path or None} if repository else None


def etag(job: records.Job, place: QueuePosition | None) -> str:
    """Return the ETag; it covers the queue position, which changes without the job's version."""
    if place is None:
        return str(job.version)
    told = "\n".join([str(place.position), place.code, place.message, *place.blocking])
    return f"{job.version}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def knows_version(seen: ETags, version: int) -> bool:
    """Return whether one of these ETags has that version, with any queue position."""
    return seen.star_tag or any(tag.partition("-")[0] == str(version) for tag in seen.as_set(include_weak=True))
