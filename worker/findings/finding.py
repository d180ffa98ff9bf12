"""What the doctor says about one thing that it looked at."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How one thing is."""

    OK = "ok"
    WARNING = "warning"  # it works, and will hurt one day
    FAILURE = "failure"
    SKIPPED = "skipped"  # nobody knows; ``seen`` says why


@dataclass(frozen=True)
class Finding:
    """One thing; ``advice`` is what to do where it is not as it should be."""

    subject: str
    state: State
    seen: str
    advice: str = ""


def ok(subject: str, seen: str) -> Finding:
    """It is as it should be."""
    return Finding(subject, State.OK, seen)


def warning(subject: str, seen: str, advice: str) -> Finding:
    """It works for now."""
    return Finding(subject, State.WARNING, seen, advice)


def failure(subject: str, seen: str, advice: str) -> Finding:
    """Somebody must act."""
    return Finding(subject, State.FAILURE, seen, advice)


def skipped(subject: str, why: str) -> Finding:
    """It was not looked at."""
    return Finding(subject, State.SKIPPED, why)
