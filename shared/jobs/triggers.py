"""Defines a trigger, what happened to it, and what becomes of that. Times are from the database's clock."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.jobs.model import Job, NewJob

EVENTS_KEPT = 1000  # of one trigger, the newest
EVENTS_KEPT_DAYS = 90


class Kind(StrEnum):
    """What a trigger waits for; the names of the fields of ``when``."""

    CRON = "cron"
    EVERY = "every"
    DATASET = "dataset"
    GIT = "git"
    REGISTRY = "registry"
    JOB = "job"
    SIGNAL = "signal"
    OBSERVATIONS = "observations"

    @property
    def is_tick(self) -> bool:
        """A tick is a time. It does not wait for a better one: another tick follows."""
        return self in (Kind.CRON, Kind.EVERY)

    @property
    def is_sent(self) -> bool:
        """Its occurrences are sent to the API; no worker looks for them."""
        return self in (Kind.GIT, Kind.REGISTRY, Kind.SIGNAL)


class TriggerState(StrEnum):
    """Whether a trigger fires."""

    ACTIVE = "active"
    PAUSED = "paused"


class Outcome(StrEnum):
    """What became of an occurrence, or of a look."""

    FIRED = "fired"  # a job
    SKIPPED = "skipped"  # by the policy, or because it was paused
    WAITING = "waiting"  # for a worker, or until the policy lets it
    SUPERSEDED = "superseded"  # a later one came while it waited
    MISSED = "missed"  # a tick while no worker looked
    UNCHANGED = "unchanged"  # a look found what was there before
    UNREACHABLE = "unreachable"  # a look found nothing out
    REFUSED = "refused"  # what was sent is not accepted


@dataclass(frozen=True)
class Occurrence:
    """Something that may start a retraining. The same ``key`` never starts two of one trigger."""

    key: str
    at: datetime
    subject: str = ""  # of those that wait, only the newest of each subject is kept
    facts: Mapping[str, Any] = field(default_factory=dict)  # for people: a branch, a revision, a value
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the template: the commit that was pushed

    def delayed(self, name: str, jitter_seconds: float) -> datetime:
        """Return when it is due: everybody draws the same delay."""
        if not jitter_seconds:
            return self.at
        drawn = int.from_bytes(hashlib.sha256(f"{name}\n{self.key}".encode()).digest()[:8])
        return self.at + timedelta(seconds=jitter_seconds * drawn / 2**64)


@dataclass(frozen=True)
class Verdict:
    """What becomes of it, why, and until when it waits. ``rule`` is the policy's field that decided, if one did."""

    outcome: Outcome
    reason: str
    until: datetime | None = None
    rule: str = ""


@dataclass(frozen=True, kw_only=True)
class NewTrigger:
    """A trigger as its author wrote it. Template, condition and policy are records without defaults."""

    name: str
    template: Mapping[str, Any]
    when: Mapping[str, Any]
    policy: Mapping[str, Any]
    kind: Kind
    secret: bytes | None = field(default=None, repr=False)  # the template's credentials, encrypted
    hook_secret: bytes | None = field(default=None, repr=False)  # what senders sign with, encrypted
    source: str | None = None  # the file in TRIGGERS_DIR that it is from
    submitted_by: str | None = None  # the name of the caller that made it
    team: str | None = None
    roles: tuple[str, ...] = ()

    @property
    def disable_after(self) -> int | None:
        """The policy's field, which stores look for in a column of its own."""
        return self.policy.get("disable_after")


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """The record of one trigger."""

    id: str
    name: str
    version: int  # grows with every change by people
    kind: Kind
    template: Mapping[str, Any]
    when: Mapping[str, Any]
    policy: Mapping[str, Any]
    state: TriggerState
    paused_at: datetime | None
    paused_reason: str
    source: str | None
    submitted_by: str | None
    team: str | None
    roles: tuple[str, ...]
    had_secret: bool
    had_hook_secret: bool
    created_at: datetime
    changed_at: datetime
    since: datetime  # ticks after this one count; what happened before does not
    seen: Mapping[str, Any]  # what the last look found, for the next one
    look_at: datetime | None  # None: nothing to look at until something is sent
    looked_at: datetime | None
    fired_at: datetime | None


@dataclass(frozen=True)
class Pause:
    """Since when no trigger fires, and why."""

    since: datetime
    reason: str


@dataclass(frozen=True, kw_only=True)
class TriggerEvent:
    """What happened to a trigger. The same look again and again is one event: ``times`` and ``last_at`` grow."""

    number: int
    trigger: str
    key: str | None
    subject: str
    at: datetime
    recorded_at: datetime
    last_at: datetime
    times: int
    outcome: Outcome
    reason: str
    until: datetime | None
    job_id: str | None
    facts: Mapping[str, Any]
    changes: Mapping[str, Any]

    @property
    def occurrence(self) -> Occurrence:
        """What it is about."""
        return Occurrence(self.key or "", self.at, self.subject, self.facts, self.changes)


@dataclass(frozen=True, kw_only=True)
class Due:
    """A trigger that a worker has taken to look. ``token`` fences off every earlier one; ``now`` is the store's."""

    trigger: Trigger
    token: int
    now: datetime
    secret: bytes | None = field(repr=False)
    waiting: tuple[TriggerEvent, ...]  # whose time has come, the oldest first


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that a look found. With ``new`` it may become that job; with a verdict it is only noted.

    A noted one without a key is a look: if the newest event is the same, that one is counted up.
    """

    occurrence: Occurrence
    new: NewJob | None = None
    inputs: Mapping[str, Any] | None = None  # what the job would train on; None if that was not looked up
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """All that a look found, recorded in one transaction."""

    entries: tuple[Entry, ...] = ()
    since: datetime | None = None  # None leaves it
    seen: Mapping[str, Any] | None = None  # None leaves it
    look_at: datetime | None  # the next look; what waits is looked at when its time comes anyway


@dataclass(frozen=True)
class Settled:
    """What became of an entry; with the job, if it was fired, and the older ones that it ended while they waited."""

    event: TriggerEvent
    job: Job | None = None
    ended: tuple[Job, ...] = ()


@dataclass(frozen=True)
class Succeeded:
    """A job that succeeded, as much of it as what comes after it must know."""

    job_id: str
    ended_at: datetime
    model_name: str | None
    trigger_name: str | None
    triggered_by: Mapping[str, Any] | None
