"""What a check reports about one thing that it looked at."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The state of the thing that was checked."""

    OK = "ok"
    WARNING = "warning"  # it works, but may cause trouble later
    FAILURE = "failure"
    SKIPPED = "skipped"  # nobody knows; ``seen`` says why


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; ``advice`` is what to do if it is not as it should be."""

    subject: str
    state: State
    seen: str
    advice: str = ""


def ok(subject: str, seen: str) -> Finding:
    """Report that it is as it should be."""
    return Finding(subject, State.OK, seen)


def warning(subject: str, seen: str, advice: str) -> Finding:
    """Report that it works for now."""
    return Finding(subject, State.WARNING, seen, advice)


def failure(subject: str, seen: str, advice: str) -> Finding:
    """Report that somebody must act."""
    return Finding(subject, State.FAILURE, seen, advice)


def skipped(subject: str, why: str) -> Finding:
    """Report that it was not checked."""
    return Finding(subject, State.SKIPPED, why)
