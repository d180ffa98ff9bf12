"""What workers do with triggers in the in-memory store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.access.acts import act_of_service
from shared.access.callers import firing
from shared.alerts.model import AlertEvent
from shared.errors import LeaseLost, ModelOfAnotherTeam, TooManyJobsQueued
from shared.jobs.model import TERMINAL, JobState
from shared.jobs.triggers import (
    Due,
    Entry,
    Kind,
    Outcome,
    Settled,
    Settlement,
    Trigger,
    TriggerEvent,
    TriggerState,
    Verdict,
)
from shared.sql.column_types import as_json
from shared.sql.triggers.looking import COUNTED, MOST_WAITING
from shared.triggers.fields import Policy
from shared.triggers.inputs import inputs_of_job
from shared.triggers.policy import Facts, begin_of_day, decide, failed_too_often, if_running
from shared.triggers.records import policy_of
from shared.triggers.ticks import CLOCK_WENT_BACK
from tests.fakes.records import Record
from tests.fakes.triggers import Kept, MemoryTriggers


class MemoryLooks(MemoryTriggers):
    """The part of MemoryStore that looks at triggers."""

    def _cancel_record(self, record: Record, now: datetime, *, force: bool) -> None:
        raise NotImplementedError

    def _record_alert(
        self, record: Record, event: AlertEvent, now: datetime, *, retry_in_seconds: float | None = None
    ) -> None:
        raise NotImplementedError

    def take_due_trigger(self, *, lease_seconds: float, kinds: Collection[Kind] = tuple(Kind)) -> Due | None:
        with self._transaction() as now:
            lease = timedelta(seconds=lease_seconds)
            mine = [kept for kept in self._in_order() if kept.trigger.kind in kinds and self._fires(kept)]
            free = [kept for kept in mine if kept.until is None or not now < kept.until <= now + lease]
            due = [(at, kept.trigger.id, kept) for kept in free if (at := _due_since(kept, now)) is not None]
            if not due:
                return None
            kept = min(due, key=lambda each: each[:2])[2]
            kept.token += 1
            kept.until = now + lease
            ready = tuple(each for each in kept.waiting() if _is_ready(each, now))[:MOST_WAITING]
            return Due(trigger=kept.trigger, token=kept.token, now=now, secret=kept.new.secret, waiting=ready)

    def _fires(self, kept: Kept) -> bool:
        return kept.trigger.state is TriggerState.ACTIVE and self._pause is None

    def settle_trigger(self, due: Due, found: Settlement) -> Sequence[Settled]:
        with self._transaction() as now:
            kept = self._triggers.get(due.trigger.name)
            if kept is None or (kept.trigger.id, kept.token) != (due.trigger.id, due.token):
                raise LeaseLost(f"Trigger {due.trigger.name!r} was taken by another worker, or changed.")
            if not self._fires(kept):
                raise LeaseLost("It was paused.")
            policy = policy_of(kept.trigger.policy)
            settled = [self._settle(kept, policy, entry, now) for entry in found.entries]
            times = [found.look_at, *(each.until or each.recorded_at for each in kept.waiting())]
            kept.change(look_at=min((at for at in times if at is not None), default=None), looked_at=now)
            kept.change(seen=kept.trigger.seen if found.seen is None else as_json(found.seen))
            kept.change(since=found.since or kept.trigger.since)
            kept.until = None
            return settled

    def _settle(self, kept: Kept, policy: Policy, entry: Entry, now: datetime) -> Settled:
        known = kept.find(entry.occurrence.key)
        if known is not None and known.outcome is not Outcome.WAITING:
            return Settled(known)
        if entry.verdict is not None or entry.new is None:
            verdict = entry.verdict or Verdict(Outcome.SKIPPED, "no job was made ready for it")
            return Settled(self._note_entry(kept, entry, verdict, now))
        name, kind = kept.trigger.name, kept.trigger.kind
        if (failing := next(self._failing([kept]), None)) is not None:
            verdict = failed_too_often(kept.new.disable_after or 0, failing[1].job.id)
            return Settled(self._note_entry(kept, entry, verdict, now))
        facts = self._facts(kept, policy, entry, now)
        verdict = decide(name, kind, policy, entry.occurrence, facts)
        if verdict.outcome is not Outcome.FIRED:
            return Settled(self._note_entry(kept, entry, verdict, now))
        try:
            self._require_room(entry.new)
            self._take_model(entry.new)
        except (ModelOfAnotherTeam, TooManyJobsQueued) as error:
            return Settled(self._note_entry(kept, entry, Verdict(Outcome.SKIPPED, error.message), now))
        older = facts.unfinished if if_running(policy, kind) == "cancel_older" else ()
        by = firing(name, kept.trigger.team)
        for job_id in older:
            version = self._records[job_id].job.version
            self._cancel_record(self._records[job_id], now, force=False)
            if self._records[job_id].job.version != version:
                self._record_act(f"job:{job_id}", now, act=act_of_service(by, "cancelJob"))
        job = self._insert_job(entry.new, now)
        event = self._write(kept, entry.occurrence, verdict, now, job_id=job.id)
        kept.change(fired_at=now)
        _supersede(kept, event, now)
        self._record_act(f"job:{job.id}", now, act=act_of_service(by, "fireTrigger"))
        cancelled = [self._records[job_id].job for job_id in older]
        return Settled(event, job, tuple(each for each in cancelled if each.state is JobState.CANCELLED))

    def _note_entry(self, kept: Kept, entry: Entry, verdict: Verdict, now: datetime) -> TriggerEvent:
        event = self._write(kept, entry.occurrence, verdict, now)
        if verdict.outcome is Outcome.WAITING:
            _supersede(kept, event, now)
        return event

    def pause_failing_triggers(self) -> Sequence[Trigger]:
        with self._transaction() as now:
            active = [kept for kept in self._in_order() if kept.trigger.state is TriggerState.ACTIVE]
            return [self._pause_failing(*each, now) for each in self._failing(active)]

    def _failing(self, active: Sequence[Kept]) -> Iterator[tuple[Kept, Record]]:
        for kept in active:
            most = kept.new.disable_after
            ended = [each for each in self._mine(kept) if each.job.created_at >= kept.resumed_at]
            ended = [each for each in ended if each.job.state in (JobState.SUCCEEDED, JobState.FAILED)]
            last = ended[::-1][:most]
            if most and len(last) == most and all(each.job.state is JobState.FAILED for each in last):
                yield kept, last[0]

    def _pause_failing(self, kept: Kept, last: Record, now: datetime) -> Trigger:
        most = kept.new.disable_after
        reason = failed_too_often(most or 0, last.job.id).reason
        self._record_alert(last, AlertEvent.TRIGGER_PAUSED, now)
        return self._pause_kept(kept, reason, now)

    def forget_trigger_events(self, *, older_than_days: float, most: int) -> int:
        with self._transaction() as now:
            until, count = now - timedelta(days=older_than_days), 0
            for kept in self._triggers.values():
                newest = [each.number for each in kept.events[::-1][:most]]
                stays = [each for each in kept.events if _must_stay(each, now)]
                kept_on = [each for each in kept.events if each.number in newest and each.last_at >= until]
                count -= len(kept.events)
                kept.events = [each for each in kept.events if each in stays or each in kept_on]
                count += len(kept.events)
            return -count

    def _facts(self, kept: Kept, policy: Policy, entry: Entry, now: datetime) -> Facts:
        fired = [each.last_at for each in kept.events if each.outcome is Outcome.FIRED]
        believed, fired_at = now + CLOCK_WENT_BACK, kept.trigger.fired_at
        mine = self._mine(kept)
        return Facts(
            now=now,
            fired_at=fired_at if fired_at and fired_at <= believed else None,
            fired_today=sum(begin_of_day(policy, now) <= at <= believed for at in fired),
            unfinished=tuple(each.job.id for each in mine if each.job.state not in TERMINAL),
            last_inputs=_last_inputs(mine) if policy.skip_if_same_inputs else None,
            inputs=entry.inputs,
        )

    def _mine(self, kept: Kept) -> Sequence[Record]:
        trigger = kept.trigger
        mine = [each for each in self._records.values() if each.job.trigger_name == trigger.name]
        mine = [each for each in mine if each.job.created_at >= trigger.created_at]
        return sorted(mine, key=lambda each: (each.job.created_at, each.job.id))


def _last_inputs(mine: Sequence[Record]) -> Mapping[str, Any] | None:
    job = next((each.job for each in reversed(mine) if each.job.state is JobState.SUCCEEDED), None)
    if job is None:
        return None
    return inputs_of_job(
        job.request,
        commit_sha=job.commit_sha,
        dataset_repo=job.dataset_repo,
        base_model_version=job.base_model_version,
        triggered_by=job.triggered_by,
    )


def _supersede(kept: Kept, event: TriggerEvent, now: datetime) -> None:
    for each in kept.waiting():
        if each.subject == event.subject and each.number < event.number:
            reason = f"event {event.number} came while it waited"
            kept.put(replace(each, outcome=Outcome.SUPERSEDED, reason=reason, until=None, last_at=now))


def _must_stay(event: TriggerEvent, now: datetime) -> bool:
    counts = event.outcome is Outcome.FIRED and event.last_at > now - COUNTED
    return event.outcome is Outcome.WAITING or counts or event.at > now


def _is_ready(event: TriggerEvent, now: datetime) -> bool:
    return event.until is None or event.until <= now or event.last_at > now + CLOCK_WENT_BACK


def _due_since(kept: Kept, now: datetime) -> datetime | None:
    look_at, looked_at = kept.trigger.look_at, kept.trigger.looked_at
    if look_at is not None and look_at <= now:
        return look_at
    return looked_at if looked_at is not None and looked_at > now + CLOCK_WENT_BACK else None
