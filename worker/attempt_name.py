"""Builds and parses the name of an attempt on its host, which its container, process group and folder have."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from shared.jobs.model import Attempt, Job
from shared.logs import log_context

PREFIX = "retrain-"
PART = "."  # between the name of an attempt and that of a part of it, which has a container of its own


@dataclass(frozen=True)
class NamedAttempt:
    """A parsed name: a job's id, and the number of its attempt, if the name is one of ours."""

    job_id: str
    number: int | None


def attempt_name(job: Job, attempt: Attempt | None = None) -> str:
    """Return the name of a job's attempt on its host; by default, the current one."""
    return f"{PREFIX}{job.id}-{(attempt or job.attempt).number}"


def parse_attempt_name(name: str) -> NamedAttempt:
    """Parse a name that `attempt_name` built."""
    job_id, _, number = attempt_of(name).removeprefix(PREFIX).rpartition("-")
    return NamedAttempt(job_id, int(number) if number.isdecimal() else None)


def attempt_of(name: str) -> str:
    """Return the name of the attempt of which this is the name, or the name of a part, such as its evaluation."""
    return name.partition(PART)[0]


def named_context(name: str) -> AbstractContextManager[None]:
    """Return the log context of an attempt of which only the name is known."""
    named = parse_attempt_name(name)
    return log_context(job_id=named.job_id, attempt=named.number, request_id=None)
