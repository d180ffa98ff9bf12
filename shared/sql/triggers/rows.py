"""Converts the rows about triggers, and writes what happened to one."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.errors import TriggerNotFound
from shared.jobs.triggers import Occurrence, Outcome, Pause, Trigger, TriggerEvent, Verdict
from shared.sql.column_types import as_text
from shared.sql.engine import Transaction
from shared.sql.triggers.tables import trigger_events, trigger_pause, triggers

REFUSALS_TOGETHER = timedelta(hours=1)
COLUMN_OF = {"when": "condition"}
NOT_COLUMNS = {"had_secret", "had_hook_secret"}
TRIGGER_FIELDS = {each.name: COLUMN_OF.get(each.name, each.name) for each in fields(Trigger)}
EVENT_FIELDS = [each.name for each in fields(TriggerEvent) if each.name != "trigger"]


def read_trigger(transaction: Transaction, name: str, *, for_update: bool = False) -> sa.Row[Any]:
    """Return the trigger's row, locked if it is to be changed; raise TriggerNotFound."""
    statement = sa.select(triggers).where(triggers.c.name == name)
    row = transaction.one(statement.with_for_update() if for_update else statement)
    if row is None:
        raise TriggerNotFound.of(name)
    return row


def to_trigger(row: sa.Row[Any]) -> Trigger:
    """Return the record."""
    values = {name: getattr(row, column) for name, column in TRIGGER_FIELDS.items() if name not in NOT_COLUMNS}
    return Trigger(**values, had_secret=row.secret is not None, had_hook_secret=row.hook_secret is not None)


def to_event(row: sa.Row[Any], trigger: str) -> TriggerEvent:
    """Return the record of an event."""
    return TriggerEvent(trigger=trigger, **{name: getattr(row, name) for name in EVENT_FIELDS})


def read_pause(transaction: Transaction) -> Pause | None:
    """Return since when no trigger fires."""
    row = transaction.one(sa.select(trigger_pause))
    return Pause(row.since, row.reason) if row is not None and row.since is not None else None


def change_trigger(transaction: Transaction, row: sa.Row[Any], **values: Any) -> None:
    """Write to the trigger's row, which the caller has locked."""
    transaction.execute(sa.update(triggers).where(triggers.c.id == row.id).values(**values))


def find_event(transaction: Transaction, row: sa.Row[Any], key: str | None) -> sa.Row[Any] | None:
    """Return the event of an occurrence, if it is known."""
    if key is None:
        return None
    mine = (trigger_events.c.trigger_id == row.id, trigger_events.c.key == key)
    return transaction.one(sa.select(trigger_events).where(*mine))


def find_events(transaction: Transaction, row: sa.Row[Any], keys: Iterable[str]) -> Mapping[str, sa.Row[Any]]:
    """Return the events of those occurrences that are known, by key."""
    mine = (trigger_events.c.trigger_id == row.id, trigger_events.c.key.in_(list(keys)))
    return {event.key: event for event in transaction.all(sa.select(trigger_events).where(*mine))}


def write_event(
    transaction: Transaction,
    row: sa.Row[Any],
    occurrence: Occurrence,
    verdict: Verdict,
    *,
    job_id: str | None = None,
) -> TriggerEvent:
    """Record what became of the occurrence; one that waited is changed. Of looks, the same again is counted up."""
    now, key = transaction.now, occurrence.key or None
    told = {"outcome": verdict.outcome, "reason": verdict.reason, "until": verdict.until, "job_id": job_id}
    known = find_event(transaction, row, key) if key else _same_look(transaction, row, verdict)
    if known is not None:
        again = {"last_at": now} if key else {"last_at": now, "times": trigger_events.c.times + 1}
        where = trigger_events.c.number == known.number
        changed = sa.update(trigger_events).where(where).values(**told, **again).returning(*trigger_events.c)
        if (event := transaction.execute(changed).first()) is not None:  # unless it was too old, and was just deleted
            return to_event(event, row.name)
    values: dict[str, Any] = {
        "trigger_id": row.id,
        "key": key,
        "subject": occurrence.subject,
        "at": occurrence.at,
        "recorded_at": now,
        "last_at": now,
        "times": 1,
        "facts": dict(occurrence.facts),
        "changes": dict(occurrence.changes),
    }
    new = sa.insert(trigger_events).values(**values, **told).returning(*trigger_events.c)
    return to_event(transaction.execute(new).one(), row.name)


def _same_look(transaction: Transaction, row: sa.Row[Any], verdict: Verdict) -> sa.Row[Any] | None:
    """Return the trigger's newest event, if it is a look that found the same; of refusals, the newest like it.

    Whoever sends what is refused must not be able to fill the list with two reasons in turn.
    """
    here = trigger_events.c
    mine = sa.select(trigger_events).where(here.trigger_id == row.id)
    if verdict.outcome is Outcome.REFUSED:
        lately = (here.outcome == Outcome.REFUSED, here.recorded_at > transaction.now - REFUSALS_TOGETHER)
        same = mine.where(*lately, here.key.is_(None), here.reason == verdict.reason)
        return transaction.one(same.order_by(here.recorded_at.desc()).limit(1))
    newest = transaction.one(mine.order_by(here.number.desc()).limit(1))
    if newest is None or newest.key is not None:
        return None
    return newest if (newest.outcome, newest.reason) == (verdict.outcome, as_text(verdict.reason)) else None


def end_waiting(transaction: Transaction, whose: sa.ColumnElement[bool], reason: str) -> None:
    """Skip what waits. The caller has locked the triggers."""
    waiting = (whose, trigger_events.c.outcome == Outcome.WAITING)
    values = {"outcome": Outcome.SKIPPED, "reason": reason, "until": None, "last_at": transaction.now}
    transaction.execute(sa.update(trigger_events).where(*waiting).values(**values))


def supersede(transaction: Transaction, row: sa.Row[Any], event: TriggerEvent) -> None:
    """End what waited before for the same subject."""
    here = trigger_events.c
    older = (here.trigger_id == row.id, here.subject == event.subject, here.number < event.number)
    values = {"outcome": Outcome.SUPERSEDED, "reason": f"event {event.number} came while it waited", "until": None}
    waiting = here.outcome == Outcome.WAITING
    transaction.execute(sa.update(trigger_events).where(*older, waiting).values(**values, last_at=transaction.now))


def first_wait(transaction: Transaction, row: sa.Row[Any]) -> datetime | None:
    """Return when the first of what waits may go on; a time that has passed for what waits for a worker."""
    mine = (trigger_events.c.trigger_id == row.id, trigger_events.c.outcome == Outcome.WAITING)
    end = sa.func.coalesce(trigger_events.c.until, trigger_events.c.recorded_at)
    found = transaction.one(sa.select(trigger_events.c.until, trigger_events.c.recorded_at).where(*mine).order_by(end))
    return None if found is None else found.until or found.recorded_at
