"""What people and senders do with triggers in the in-memory store."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.errors import TriggerChanged, TriggerExists, TriggerNotFound
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
from shared.sql.column_types import as_json, as_text
from shared.sql.triggers.people import ALL_TRIGGERS
from tests.fakes.access.audit import MemoryAudit
from tests.fakes.records import Record

WRITTEN = ("template", "when", "policy", "kind", "source", "submitted_by", "team", "roles")


@dataclass
class Kept:
    """A trigger, what happened to it, and what nobody is shown of it."""

    trigger: Trigger
    new: NewTrigger
    resumed_at: datetime
    token: int = 0
    until: datetime | None = None  # while a worker has it
    events: list[TriggerEvent] = field(default_factory=list)

    def change(self, **values: Any) -> Trigger:
        self.trigger = replace(self.trigger, **values)
        return self.trigger

    def take_back(self) -> None:
        self.token += 1
        self.until = None

    def find(self, key: str | None) -> TriggerEvent | None:
        return next((each for each in self.events if key and each.key == key), None)

    def put(self, event: TriggerEvent) -> TriggerEvent:
        self.events = [event if each.number == event.number else each for each in self.events]
        return event

    def waiting(self) -> Sequence[TriggerEvent]:
        return [each for each in self.events if each.outcome is Outcome.WAITING]

    def end_waiting(self, reason: str, now: datetime) -> None:
        for each in self.waiting():
            self.put(replace(each, outcome=Outcome.SKIPPED, reason=reason, until=None, last_at=now))


class MemoryTriggers(MemoryAudit):
    """The part of MemoryStore that is about triggers."""

    _records: dict[str, Record]
    _triggers: dict[str, Kept]
    _pause: Pause | None
    _last_trigger_event: int

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def _insert_job(self, new: NewJob, now: datetime) -> Job:
        raise NotImplementedError

    def _take_model(self, new: NewJob) -> None:
        raise NotImplementedError

    def _require_room(self, new: NewJob) -> None:
        raise NotImplementedError

    def create_trigger(self, new: NewTrigger) -> Trigger:
        with self._transaction() as now:
            if new.name in self._triggers:
                raise TriggerExists(f"There is a trigger {new.name!r} already.", trigger=new.name)
            begins: dict[str, Any] = {"id": str(uuid.uuid4()), "name": new.name, "version": 1, **_written(new)}
            begins |= {"state": TriggerState.ACTIVE, "paused_at": None, "paused_reason": "", "seen": {}}
            begins |= {"created_at": now, "changed_at": now, "since": now, "look_at": now}
            trigger = Trigger(**begins, **_had(new), looked_at=None, fired_at=None)
            self._triggers[new.name] = Kept(trigger, new, resumed_at=now)
            self._record_act(f"trigger:{new.name}", now)
            return trigger

    def change_trigger(self, name: str, new: NewTrigger, *, version: int | None = None) -> Trigger:
        with self._transaction() as now:
            kept = self._kept_trigger(name)
            before = kept.trigger
            if version not in (None, before.version):
                raise TriggerChanged(f"Trigger {name!r} was changed.", trigger=name, version=before.version)
            kept.new = new if new.hook_secret is not None else replace(new, hook_secret=kept.new.hook_secret)
            kept.change(**_written(kept.new), **_had(kept.new), version=before.version + 1, changed_at=now, look_at=now)
            if kept.trigger.when != before.when:
                kept.change(seen={}, since=now)
                kept.end_waiting("the trigger's condition was changed while it waited", now)
            kept.take_back()
            self._record_act(f"trigger:{name}", now)
            return kept.trigger

    def delete_trigger(self, name: str) -> None:
        with self._transaction() as now:
            self._kept_trigger(name)
            del self._triggers[name]
            self._record_act(f"trigger:{name}", now)

    def get_trigger(self, name: str) -> Trigger:
        with self._transaction():
            return self._kept_trigger(name).trigger

    def list_triggers(self, kind: Kind | None = None) -> Sequence[Trigger]:
        with self._transaction():
            return [kept.trigger for kept in self._in_order() if kind in (None, kept.trigger.kind)]

    def pause_trigger(self, name: str, *, reason: str) -> Trigger:
        with self._transaction() as now:
            paused = self._pause_kept(self._kept_trigger(name), as_text(reason), now)
            self._record_act(f"trigger:{name}", now)
            return paused

    def resume_trigger(self, name: str) -> Trigger:
        with self._transaction() as now:
            kept = self._kept_trigger(name)
            if kept.trigger.state is not TriggerState.ACTIVE:
                kept.change(state=TriggerState.ACTIVE, paused_at=None, paused_reason="", since=now, look_at=now)
                kept.resumed_at = now
                kept.end_waiting("it waited while the trigger was paused", now)
                kept.take_back()
                self._record_act(f"trigger:{name}", now)
            return kept.trigger

    def pause_triggers(self, *, reason: str) -> Pause:
        with self._transaction() as now:
            self._pause = Pause(self._pause.since if self._pause else now, as_text(reason))
            self._record_act(ALL_TRIGGERS, now)
            return self._pause

    def resume_triggers(self) -> None:
        with self._transaction() as now:
            if self._pause is None:
                return
            self._pause = None
            self._record_act(ALL_TRIGGERS, now)
            for kept in self._triggers.values():
                if kept.trigger.state is TriggerState.ACTIVE:
                    kept.change(since=now)
                    kept.end_waiting("it waited while all triggers were paused", now)
                    kept.take_back()

    def triggers_pause(self) -> Pause | None:
        with self._transaction():
            return self._pause

    def hook_secrets(self, kind: Kind) -> Sequence[tuple[Trigger, bytes]]:
        with self._transaction():
            mine = [kept for kept in self._in_order() if kept.trigger.kind is kind]
            return [(kept.trigger, kept.new.hook_secret) for kept in mine if kept.new.hook_secret is not None]

    def secret_of_trigger(self, name: str) -> bytes | None:
        with self._transaction():
            return self._kept_trigger(name).new.secret

    def report(
        self, name: str, occurrence: Occurrence, *, noted: Verdict | None = None, besides: Sequence[str] = ()
    ) -> TriggerEvent:
        with self._transaction() as now:
            kept = self._kept_trigger(name)
            if noted is not None:
                return self._write(kept, Occurrence("", occurrence.at), noted, now)
            keys = dict.fromkeys((occurrence.key, *besides))
            new = [key for key in keys if kept.find(key) is None]
            if not new:
                return next(each for each in kept.events if each.key == occurrence.key)
            event = self._report_new(kept, replace(occurrence, key=new[0]), now)
            self._record_act(f"trigger:{name}", now, f"event {event.number}: {event.outcome}")
            for key in new[1:]:
                with_it = Verdict(Outcome.SKIPPED, f"told with event {event.number}")
                self._write(kept, replace(occurrence, key=key), with_it, now)
            return event

    def _report_new(self, kept: Kept, occurrence: Occurrence, now: datetime) -> TriggerEvent:
        if kept.trigger.state is not TriggerState.ACTIVE:
            return self._write(kept, occurrence, Verdict(Outcome.SKIPPED, "the trigger is paused"), now)
        if self._pause is not None:
            return self._write(kept, occurrence, Verdict(Outcome.SKIPPED, "all triggers are paused"), now)
        kept.change(look_at=min(now, kept.trigger.look_at or now))
        return self._write(kept, occurrence, Verdict(Outcome.WAITING, "for a worker"), now)

    def fire_trigger(self, name: str, occurrence: Occurrence, new: NewJob) -> Settled:
        with self._transaction() as now:
            kept = self._kept_trigger(name)
            if (known := kept.find(occurrence.key)) is not None:
                record = self._records.get(known.job_id or "")
                return Settled(known, record.job if record else None)
            self._require_room(new)
            self._take_model(new)
            job = self._insert_job(new, now)
            event = self._write(kept, occurrence, Verdict(Outcome.FIRED, "by hand"), now, job_id=job.id)
            kept.change(fired_at=now)
            self._record_act(f"job:{job.id}", now, f"of trigger {name}")
            return Settled(event, job)

    def trigger_events(
        self, name: str, *, limit: int, before_number: int | None = None, until: datetime | None = None
    ) -> Sequence[TriggerEvent]:
        with self._transaction():
            found = self._kept_trigger(name).events[::-1]
            found = [each for each in found if before_number is None or each.number < before_number]
            return [each for each in found if until is None or each.recorded_at <= until][:limit]

    def newest_trigger_events(self) -> Mapping[str, TriggerEvent]:
        with self._transaction():
            return {kept.trigger.name: kept.events[-1] for kept in self._in_order() if kept.events}

    def _pause_kept(self, kept: Kept, reason: str, now: datetime) -> Trigger:
        kept.take_back()
        since = kept.trigger.paused_at or now
        return kept.change(state=TriggerState.PAUSED, paused_at=since, paused_reason=reason)

    def _write(
        self, kept: Kept, about: Occurrence, verdict: Verdict, now: datetime, *, job_id: str | None = None
    ) -> TriggerEvent:
        told: dict[str, Any] = {"outcome": verdict.outcome, "reason": as_text(verdict.reason), "until": verdict.until}
        told |= {"job_id": job_id, "last_at": now}
        known = kept.find(about.key) if about.key else _same_look(kept, verdict, now)
        if known is not None:
            return kept.put(replace(known, **told, times=known.times + (0 if about.key else 1)))
        self._last_trigger_event += 1
        event = TriggerEvent(
            number=self._last_trigger_event,
            trigger=kept.trigger.name,
            key=about.key or None,
            subject=as_text(about.subject),
            at=about.at,
            recorded_at=now,
            times=1,
            facts=as_json(about.facts),
            changes=as_json(about.changes),
            **told,
        )
        kept.events.append(event)
        return event

    def _kept_trigger(self, name: str) -> Kept:
        if name not in self._triggers:
            raise TriggerNotFound.of(name)
        return self._triggers[name]

    def _in_order(self) -> Sequence[Kept]:
        return [kept for _, kept in sorted(self._triggers.items())]


def _written(new: NewTrigger) -> dict[str, Any]:
    return {each: as_json(value) if isinstance(value := getattr(new, each), Mapping) else value for each in WRITTEN}


def _had(new: NewTrigger) -> dict[str, Any]:
    return {f"had_{each}": getattr(new, each) is not None for each in ("secret", "hook_secret")}


def _same_look(kept: Kept, verdict: Verdict, now: datetime) -> TriggerEvent | None:
    told = (verdict.outcome, as_text(verdict.reason))
    if verdict.outcome is Outcome.REFUSED:
        lately = [each for each in kept.events if each.key is None and each.recorded_at > now - timedelta(hours=1)]
        return next((each for each in reversed(lately) if (each.outcome, each.reason) == told), None)
    newest = kept.events[-1] if kept.events else None
    if newest is None or newest.key is not None or (newest.outcome, newest.reason) != told:
        return None
    return newest
