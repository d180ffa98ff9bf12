"""What a job's transitions say of its current attempt. Pure."""

from datetime import UTC, datetime

from shared.jobs.model import Job, JobState
from shared.jobs.records import Claim


def takeovers(job: Job) -> int:
    """Return how often another worker took over while the current attempt was prepared."""
    here = [each for each in job.transitions if each.attempt == job.attempt.number]
    return sum(each.from_state is each.to_state is JobState.STARTING for each in here)


def losses(job: Job) -> int:
    """Return how many workers were lost meanwhile, not counting those that released the attempt."""
    return takeovers(job) - job.attempt.releases


def seconds_running(claim: Claim) -> float:
    """Return how long it has trained already; the claim tells if an earlier worker started it."""
    began = (each for each in claim.job.transitions if each.to_state is JobState.RUNNING)
    since = next((each.at for each in began if each.attempt == claim.attempt.number), None)
    return max(0.0, (datetime.now(UTC) - since).total_seconds()) if since else 0.0
