"""What looks at one kind of trigger: given what the store knows, it says what happened. It decides nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.jobs.store import JobStore
from shared.jobs.triggers import Due, Occurrence, Verdict
from shared.requests.retrain_request import RetrainRequest
from shared.settings import Settings
from shared.triggers.fields import Policy, When
from worker.credentials.keys import Keys
from worker.interruption import Interruption
from worker.source.checkout import GitSource
from worker.tracking.client import Tracking

FAILURES = "failures"  # looks in a row that failed, among what a trigger has seen


@dataclass(frozen=True, kw_only=True)
class Around:
    """What a look may use."""

    settings: Settings
    store: JobStore
    source: GitSource
    tracking: Tracking
    interruption: Interruption


@dataclass(frozen=True, kw_only=True)
class Look:
    """A trigger that is looked at."""

    due: Due
    when: When
    policy: Policy
    template: RetrainRequest
    secrets: Keys = field(repr=False)


@dataclass(frozen=True)
class DataSeen:
    """What the data at an address was."""

    address: str
    revision: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a look found: occurrences that may fire, and what is only noted."""

    occurrences: tuple[Occurrence, ...] = ()
    noted: tuple[tuple[Occurrence, Verdict], ...] = ()
    since: datetime | None = None
    seen: Mapping[str, Any] | None = None
    look_at: datetime | None = None
    data: DataSeen | None = None  # what a look at data saw


Looker = Callable[[Look, Around], Found]
