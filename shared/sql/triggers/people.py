"""What people and senders do with triggers."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shared.errors import TriggerChanged, TriggerExists
from shared.jobs.model import Job, NewJob
from shared.jobs.triggers import (
    Kind,
    NewTrigger,
    Occurrence,
    Outcome,
    Pause,
    Settled,
    Trigger,
    TriggerEvent,
    TriggerState,
    Verdict,
)
from shared.sql.access.model_teams import take_model
from shared.sql.access.waiting import require_room
from shared.sql.column_types import as_json
from shared.sql.engine import Database, Lock, Transaction
from shared.sql.rows import complete, insert_job
from shared.sql.tables import jobs
from shared.sql.triggers.rows import (
    change_trigger,
    end_waiting,
    find_event,
    find_events,
    read_pause,
    read_trigger,
    to_event,
    to_trigger,
    write_event,
)
from shared.sql.triggers.tables import trigger_events, trigger_pause, triggers

WRITTEN = ("template", "policy", "kind", "source", "disable_after", "submitted_by", "team", "roles")
ALL_TRIGGERS = "trigger:*"


class People(Database):
    """The part of the JobStore that the API uses."""

    def create_trigger(self, new: NewTrigger) -> Trigger:
        """Record it."""
        try:
            with self.writing() as transaction:
                now = transaction.now
                values: dict[str, Any] = {name: getattr(new, name) for name in (*WRITTEN, "secret", "hook_secret")}
                times = {"created_at": now, "changed_at": now, "resumed_at": now, "since": now, "look_at": now}
                begins = {"version": 1, "state": TriggerState.ACTIVE, "paused_reason": "", "seen": {}, "look_token": 0}
                names = {"id": str(uuid.uuid4()), "name": new.name, "condition": new.when}
                transaction.execute(sa.insert(triggers).values(**names, **values, **times, **begins))
                transaction.record_act(f"trigger:{new.name}")
                return to_trigger(read_trigger(transaction, new.name))
        except IntegrityError:
            raise TriggerExists(
                f"There is a trigger {new.name!r} already. PUT /triggers/{new.name} changes it.", trigger=new.name
            ) from None

    def change_trigger(self, name: str, new: NewTrigger, *, version: int | None = None) -> Trigger:
        """Replace what its author wrote."""
        with self.writing() as transaction:
            row = read_trigger(transaction, name, for_update=True)
            if version is not None and version != row.version:
                raise TriggerChanged(
                    f"Trigger {name!r} was changed meanwhile: it has version {row.version}, not {version}. Read it "
                    "again, and send your change for that version.",
                    trigger=name,
                    version=row.version,
                )
            values: dict[str, Any] = {each: getattr(new, each) for each in (*WRITTEN, "secret")}
            signed = {"hook_secret": new.hook_secret} if new.hook_secret is not None else {}
            fresh: dict[str, Any] = {}
            if as_json(new.when) != row.condition:
                fresh = {"seen": {}, "since": transaction.now}
                end_waiting(
                    transaction,
                    trigger_events.c.trigger_id == row.id,
                    "the trigger's condition was changed while it waited",
                )
            change_trigger(
                transaction,
                row,
                **values,
                **signed,
                **fresh,
                condition=new.when,
                version=row.version + 1,
                changed_at=transaction.now,
                **_looked_at_now(transaction, row),
            )
            transaction.record_act(f"trigger:{name}")
            return to_trigger(read_trigger(transaction, name))

    def delete_trigger(self, name: str) -> None:
        """Delete it with its events."""
        with self.writing() as transaction:
            row = read_trigger(transaction, name, for_update=True)
            transaction.execute(sa.delete(triggers).where(triggers.c.id == row.id))
            transaction.record_act(f"trigger:{name}")

    def get_trigger(self, name: str) -> Trigger:
        """Return it."""
        with self.reading() as transaction:
            return to_trigger(read_trigger(transaction, name))

    def secret_of_trigger(self, name: str) -> bytes | None:
        """Return the template's encrypted credentials."""
        with self.reading() as transaction:
            sealed = read_trigger(transaction, name).secret
            return bytes(sealed) if sealed is not None else None

    def list_triggers(self, kind: Kind | None = None) -> Sequence[Trigger]:
        """Return all, by name."""
        where = [triggers.c.kind == kind] if kind is not None else []
        with self.reading() as transaction:
            rows = transaction.all(sa.select(triggers).where(*where).order_by(triggers.c.name))
            return [to_trigger(row) for row in rows]

    def hook_secrets(self, kind: Kind) -> Sequence[tuple[Trigger, bytes]]:
        """Return the triggers of a kind whose senders sign."""
        signed = sa.select(triggers).where(triggers.c.kind == kind, triggers.c.hook_secret.is_not(None))
        with self.reading() as transaction:
            rows = transaction.all(signed.order_by(triggers.c.name))
            return [(to_trigger(row), bytes(row.hook_secret)) for row in rows]

    def pause_trigger(self, name: str, *, reason: str) -> Trigger:
        """Let it fire nothing until it is resumed."""
        with self.writing() as transaction:
            row = read_trigger(transaction, name, for_update=True)
            since = row.paused_at or transaction.now
            values = {"state": TriggerState.PAUSED, "paused_at": since, "paused_reason": reason}
            change_trigger(transaction, row, **values, **_taken_back(row))
            transaction.record_act(f"trigger:{name}")
            return to_trigger(read_trigger(transaction, name))

    def resume_trigger(self, name: str) -> Trigger:
        """Let it fire again."""
        with self.writing() as transaction:
            row = read_trigger(transaction, name, for_update=True)
            if row.state != TriggerState.ACTIVE:
                now = transaction.now
                values = {"state": TriggerState.ACTIVE, "paused_at": None, "paused_reason": ""}
                from_now = {"resumed_at": now, "since": now}
                end_waiting(
                    transaction, trigger_events.c.trigger_id == row.id, "it waited while the trigger was paused"
                )
                change_trigger(transaction, row, **values, **from_now, **_looked_at_now(transaction, row))
                transaction.record_act(f"trigger:{name}")
            return to_trigger(read_trigger(transaction, name))

    def pause_triggers(self, *, reason: str) -> Pause:
        """Let no trigger fire."""
        with self.writing() as transaction:
            transaction.lock("triggers", Lock.TRIGGERS)
            known = read_pause(transaction)
            pause = Pause(known.since if known else transaction.now, reason)
            transaction.execute(sa.delete(trigger_pause))
            transaction.execute(sa.insert(trigger_pause).values(id=1, since=pause.since, reason=reason))
            transaction.record_act(ALL_TRIGGERS)
            return pause

    def resume_triggers(self) -> None:
        """Let those fire that are not paused themselves, for what happens from now on."""
        with self.writing() as transaction:
            transaction.lock("triggers", Lock.TRIGGERS)
            if read_pause(transaction) is None:
                return
            transaction.execute(sa.delete(trigger_pause))
            active = sa.select(triggers.c.id).where(triggers.c.state == TriggerState.ACTIVE)
            transaction.all(active.order_by(triggers.c.id).with_for_update())
            of_these = trigger_events.c.trigger_id.in_(active)
            end_waiting(transaction, of_these, "it waited while all triggers were paused")
            from_now = {"since": transaction.now, "look_token": triggers.c.look_token + 1, "look_until": None}
            transaction.execute(sa.update(triggers).where(triggers.c.state == TriggerState.ACTIVE).values(**from_now))
            transaction.record_act(ALL_TRIGGERS)

    def triggers_pause(self) -> Pause | None:
        """Return since when none fires."""
        with self.reading() as transaction:
            return read_pause(transaction)

    def report(
        self, name: str, occurrence: Occurrence, *, noted: Verdict | None = None, besides: Sequence[str] = ()
    ) -> TriggerEvent:
        """Record what was sent."""
        with self.writing() as transaction:
            row = read_trigger(transaction, name, for_update=True)
            if noted is not None:  # without a key: what is not accepted must not take the place of what is
                return write_event(transaction, row, Occurrence("", occurrence.at), noted)
            keys = dict.fromkeys((occurrence.key, *besides))
            known = find_events(transaction, row, keys)
            new = [key for key in keys if key not in known]
            if not new:
                return to_event(known[occurrence.key], name)
            event = _report_new(transaction, row, replace(occurrence, key=new[0]))
            transaction.record_act(f"trigger:{name}", f"event {event.number}: {event.outcome}")
            for key in new[1:]:
                with_it = Verdict(Outcome.SKIPPED, f"told with event {event.number}")
                write_event(transaction, row, replace(occurrence, key=key), with_it)
            return event

    def fire_trigger(self, name: str, occurrence: Occurrence, new: NewJob) -> Settled:
        """Record the job and the firing, whatever the policy says."""
        with self.writing() as transaction:
            row = read_trigger(transaction, name, for_update=True)
            if (known := find_event(transaction, row, occurrence.key)) is not None:
                return Settled(to_event(known, name), _job_of(transaction, known))
            require_room(transaction, new, most=self.limits.waiting_per_caller)
            take_model(transaction, new, isolated=self.teams_isolated)
            job = insert_job(transaction, new)
            event = write_event(transaction, row, occurrence, Verdict(Outcome.FIRED, "by hand"), job_id=job.id)
            change_trigger(transaction, row, fired_at=transaction.now)
            transaction.record_act(f"job:{job.id}", f"of trigger {name}")
            return Settled(event, job)

    def newest_trigger_events(self) -> Mapping[str, TriggerEvent]:
        """Return the newest event of each trigger that has one."""
        own = trigger_events.alias("own")
        newest = sa.select(sa.func.max(own.c.number)).where(own.c.trigger_id == triggers.c.id).correlate(triggers)
        here = trigger_events.c.number == newest.scalar_subquery()  # one look into the index for each trigger
        with self.reading() as transaction:
            rows = transaction.all(
                sa.select(triggers.c.name, *trigger_events.c).join_from(triggers, trigger_events, here)
            )
            return {row.name: to_event(row, row.name) for row in rows}

    def trigger_events(
        self, name: str, *, limit: int, before_number: int | None = None, until: datetime | None = None
    ) -> Sequence[TriggerEvent]:
        """Return what happened, the newest first."""
        with self.reading() as transaction:
            row = read_trigger(transaction, name)
            where = [trigger_events.c.trigger_id == row.id]
            where += [trigger_events.c.number < before_number] if before_number is not None else []
            where += [trigger_events.c.recorded_at <= until] if until is not None else []
            newest = sa.select(trigger_events).where(*where).order_by(trigger_events.c.number.desc()).limit(limit)
            return [to_event(each, name) for each in transaction.all(newest)]


def _report_new(transaction: Transaction, row: sa.Row[Any], occurrence: Occurrence) -> TriggerEvent:
    """Record it for a worker, or as skipped while it may not fire."""
    if row.state != TriggerState.ACTIVE or read_pause(transaction) is not None:
        why = "all triggers are paused" if row.state == TriggerState.ACTIVE else "the trigger is paused"
        return write_event(transaction, row, occurrence, Verdict(Outcome.SKIPPED, why))
    if row.look_at is None or row.look_at > transaction.now:
        change_trigger(transaction, row, look_at=transaction.now)
    return write_event(transaction, row, occurrence, Verdict(Outcome.WAITING, "for a worker"))


def _job_of(transaction: Transaction, event: sa.Row[Any]) -> Job | None:
    """Return the event's job, unless it was deleted since."""
    row = transaction.one(sa.select(jobs).where(jobs.c.id == event.job_id)) if event.job_id else None
    return complete(transaction, row) if row is not None else None


def _taken_back(row: sa.Row[Any]) -> dict[str, Any]:
    """Return the columns that take the trigger from the worker that looks at it now."""
    return {"look_token": row.look_token + 1, "look_until": None}


def _looked_at_now(transaction: Transaction, row: sa.Row[Any]) -> dict[str, Any]:
    return {"look_at": transaction.now, **_taken_back(row)}
