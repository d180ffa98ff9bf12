"""Defines what attempts used and how long jobs waited, summed by month, team, model and experiment, for good."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Protocol, Self

from shared.failures.codes import Code, FailureType
from shared.jobs.model import Reason

LOST = (Code.HOST_LOST, Code.CONTAINER_LOST)


class AttemptOutcome(StrEnum):
    """What became of an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # its host or its container disappeared

    @classmethod
    def of(cls, reason: Reason | None) -> Self:
        """Return what an attempt with this reason of its end came to."""
        if reason is None:
            return cls("succeeded")
        if reason.type is FailureType.CANCELLED:
            return cls("cancelled")
        return cls("lost" if reason.code in LOST else "failed")


class UsageBy(StrEnum):
    """What sums are told apart by."""

    MONTH = "month"
    TEAM = "team"
    MODEL = "model"
    EXPERIMENT = "experiment"


@dataclass(frozen=True)
class Sums:
    """Whole numbers, so that a sum is exact in whatever order its parts come. Times are in microseconds."""

    attempts: int = 0
    lasted: int = 0
    gpu: int = 0  # as often as the attempt had GPUs
    cpu: int = 0  # as often as its request asks for cores
    without_cpus: int = 0  # of attempts whose request asks for none: what they used of their host is not known
    waited: int = 0  # from being queued to the attempt's beginning, or to the job's end without another attempt

    def __add__(self, other: "Sums") -> "Sums":
        """Add each to each."""
        return Sums(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Sums)))


@dataclass(frozen=True)
class UsageFilter:
    """Which months (2026-01), both included, and whose; None means any, an empty text those of none."""

    first: str
    last: str
    by: UsageBy
    team: str | None = None
    model: str | None = None
    experiment: str | None = None


@dataclass(frozen=True)
class UsageLine:
    """One sum: of all attempts of a name that came to the same."""

    name: str  # of the month, team, model or experiment; empty for none
    outcome: AttemptOutcome
    sums: Sums = field(default_factory=Sums)


class MonthlyUsage(Protocol):
    """The part of the JobStore about what was used."""

    def list_usage(self, where: UsageFilter) -> Sequence[UsageLine]:
        """Return the sums by name and outcome, in that order.

        An attempt counts in the month, in UTC, in which it ended. Deleting jobs takes nothing away.
        """
