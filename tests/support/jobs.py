"""Jobs as tests submit them."""

import uuid
from typing import Any

from shared.errors import Code, FailureType
from shared.jobs.model import JobState, NewJob, Reason
from shared.jobs.records import Claim, Ending
from shared.jobs.store import JobStore
from shared.requests.retrain_request import KNOWN_FIELDS
from shared.scheduling.hosts import Host

HOST = "gpu-1"
QUEUES = frozenset({"default"})
MANY_SLOTS = 1000
LONG_LEASE_SECONDS = 60.0
SHORT_LEASE_SECONDS = 0.2
DOCKER_AWAY = Reason(Code.DOCKER_UNAVAILABLE, FailureType.INFRASTRUCTURE, "Docker does not answer on gpu-1.")
WAITED_TOO_LONG = Reason(Code.QUEUE_TIMEOUT, FailureType.TIMEOUT, "The job waited too long for a free slot.")
SUCCEEDED = Ending(JobState.SUCCEEDED, exit_code=0, result={"metrics": {"accuracy": 0.94}})
FAILED = Ending(JobState.FAILED, DOCKER_AWAY)


def a_host(name: str = HOST, **fields: Any) -> Host:
    """A machine as a worker of today describes it; it has room for everything unless the test says otherwise."""
    usual = {"slots": MANY_SLOTS, "queues": QUEUES, "runner": "docker", "knows": KNOWN_FIELDS}
    return Host(name, **{**usual, **fields})


def new_job(**fields: Any) -> NewJob:
    """A request that was accepted; alone under its concurrency_key unless the test says otherwise."""
    job_id = str(uuid.uuid4())
    usual = {
        "id": job_id,
        "experiment_name": "iris",
        "model_name": None,
        "queue": "default",
        "priority": 4,
        "concurrency_key": f"key of {job_id}",
        "request": {"experiment_name": "iris", "git_uri": "https://git.example/iris.git"},
    }
    return NewJob(**{**usual, **fields})


def submit(store: JobStore, **fields: Any) -> str:
    """Submit a job and return its id."""
    return store.submit(new_job(**fields)).job.id


def try_claim(
    store: JobStore, job_id: str, *, host: str | Host = HOST, lease_seconds: float = LONG_LEASE_SECONDS
) -> Claim | None:
    """Claim as a worker of the default queue does."""
    described = host if isinstance(host, Host) else a_host(host)
    return store.claim(job_id, host=described, lease_seconds=lease_seconds)


def claim(store: JobStore, job_id: str, *, host: str | Host = HOST, lease_seconds: float = LONG_LEASE_SECONDS) -> Claim:
    """Claim, and expect to get it."""
    taken = try_claim(store, job_id, host=host, lease_seconds=lease_seconds)
    assert taken is not None, store.get(job_id)
    return taken


def claimed(store: JobStore, *, lease_seconds: float = LONG_LEASE_SECONDS, **fields: Any) -> Claim:
    """Submit a job and claim it."""
    return claim(store, submit(store, **fields), lease_seconds=lease_seconds)


def running(store: JobStore, *, lease_seconds: float = LONG_LEASE_SECONDS, **fields: Any) -> Claim:
    """Submit a job, claim it and start its container."""
    taken = claimed(store, lease_seconds=lease_seconds, **fields)
    store.started(taken, runner="docker", container=f"container of {taken.job.id}")
    return taken


def ended(store: JobStore, **fields: Any) -> str:
    """Submit a job and take it to success; return its id."""
    return store.finish(running(store, **fields), SUCCEEDED).id


def succeed(store: JobStore, job_id: str) -> None:
    """Take a queued job to success."""
    taken = claim(store, job_id)
    store.started(taken, runner="docker", container=f"container of {job_id}")
    store.finish(taken, SUCCEEDED)


def in_retry_wait(store: JobStore, *, seconds: float = 3600, **fields: Any) -> str:
    """Submit a job whose first attempt failed and whose next one follows; return its id."""
    taken = running(store, **fields)
    return store.finish(taken, Ending(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=seconds)).id
