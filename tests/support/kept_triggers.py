"""Triggers in a store: as tests make them, and what a worker does with one that is due."""

from datetime import timedelta
from typing import Any

from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.jobs.triggers import (
    Due,
    Entry,
    NewTrigger,
    Occurrence,
    Settled,
    Settlement,
    Trigger,
    TriggerEvent,
    Verdict,
)
from shared.triggers.fields import Policy, When
from tests.support.jobs import new_job

NAME = "nightly"
LEASE_SECONDS = 60.0
REQUEST = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git"}
BY_SIGNAL: dict[str, Any] = {"signal": {}}
BY_THE_MINUTE: dict[str, Any] = {"every": 60}


def a_trigger(
    name: str = NAME, *, when: dict[str, Any] = BY_SIGNAL, policy: dict[str, Any] | None = None, **fields: Any
) -> NewTrigger:
    """A trigger as the API hands it to the store; by a signal unless the test says otherwise."""
    condition, rules = When.model_validate(when), Policy.model_validate(policy or {})
    usual: dict[str, Any] = {
        "template": REQUEST,
        "when": condition.model_dump(mode="json"),
        "policy": rules.model_dump(mode="json"),
        "kind": condition.kind,
    }
    return NewTrigger(name=name, **{**usual, **fields})


def add(store: JobStore, name: str = NAME, **fields: Any) -> Trigger:
    """Create a trigger, and let a worker look at it once: that is due at once."""
    store.create_trigger(a_trigger(name, **fields))
    settle(store, take(store))
    return store.get_trigger(name)


def occurrence(store: JobStore, key: str, *, after: float = 0, name: str = NAME, **fields: Any) -> Occurrence:
    """Something that happened so many seconds after the trigger was made."""
    return Occurrence(key, store.get_trigger(name).created_at + timedelta(seconds=after), **fields)


def report(store: JobStore, key: str, *, name: str = NAME, **fields: Any) -> TriggerEvent:
    """Record what was sent."""
    return store.report(name, occurrence(store, key, name=name, **fields))


def take(store: JobStore, *, lease_seconds: float = LEASE_SECONDS, **fields: Any) -> Due:
    """Take a trigger that is due, and expect to get one."""
    due = store.take_due_trigger(lease_seconds=lease_seconds, **fields)
    assert due is not None
    return due


def nothing_is_due(store: JobStore) -> bool:
    """Whether a worker that looks now gets nothing."""
    return store.take_due_trigger(lease_seconds=LEASE_SECONDS) is None


def entry(about: Occurrence, *, name: str = NAME, verdict: Verdict | None = None, **fields: Any) -> Entry:
    """One thing that a look found, with the job that it may become."""
    new = new_job(trigger_name=name, triggered_by={"key": about.key}) if verdict is None else None
    return Entry(occurrence=about, new=new, verdict=verdict, **fields)


def settle(store: JobStore, due: Due, *entries: Entry, look_in: float | None = None, **found: Any) -> list[Settled]:
    """Record what the look found: what waits for a worker, and these."""
    waiting = tuple(entry(event.occurrence, name=due.trigger.name) for event in due.waiting)
    look_at = due.now + timedelta(seconds=look_in) if look_in is not None else None
    return list(store.settle_trigger(due, Settlement(entries=(*waiting, *entries), look_at=look_at, **found)))


def look(store: JobStore, *entries: Entry, **found: Any) -> list[Settled]:
    """Take the trigger that is due, and record what was found."""
    return settle(store, take(store), *entries, **found)


def send(store: JobStore, key: str, *, name: str = NAME, **fields: Any) -> Settled:
    """Report something, and let a worker look: what became of it."""
    event = report(store, key, name=name, **fields)
    return next(each for each in look(store) if each.event.number == event.number)


def events(store: JobStore, name: str = NAME, **which: Any) -> list[TriggerEvent]:
    """What happened to it, the newest first."""
    return list(store.trigger_events(name, **{"limit": 1000, **which}))


def outcomes(store: JobStore, name: str = NAME) -> list[tuple[str | None, str]]:
    """Keys and outcomes, the oldest first."""
    return [(each.key, str(each.outcome)) for each in reversed(events(store, name))]


def keys_of_jobs(store: JobStore) -> list[str]:
    """The keys that made a job, the oldest job first."""
    jobs = store.list(JobFilter(trigger=NAME), limit=1000)
    return [(job.triggered_by or {})["key"] for job in reversed(jobs)]
