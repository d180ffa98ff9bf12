"""What workers do with triggers: take one that is due, and record what they found in one transaction with its jobs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.access.acts import Act, act_of_service
from shared.access.callers import firing
from shared.alerts.model import AlertEvent
from shared.errors import LeaseLost, ModelOfAnotherTeam, TooManyJobsQueued
from shared.jobs.model import SUPERVISED, TERMINAL, Job, JobState
from shared.jobs.triggers import (
    Due,
    Entry,
    Kind,
    Outcome,
    Settled,
    Settlement,
    Succeeded,
    Trigger,
    TriggerEvent,
    TriggerState,
    Verdict,
)
from shared.sql.access.model_teams import take_model
from shared.sql.access.waiting import require_room
from shared.sql.engine import Database, Lock, Transaction
from shared.sql.outbox import record_alert
from shared.sql.rows import cancel_job, complete, insert_job, read_job
from shared.sql.tables import jobs
from shared.sql.triggers.rows import (
    change_trigger,
    find_event,
    first_wait,
    read_pause,
    supersede,
    to_event,
    to_trigger,
    write_event,
)
from shared.sql.triggers.tables import trigger_events, trigger_pause, triggers
from shared.triggers.fields import Policy
from shared.triggers.inputs import inputs_of_job
from shared.triggers.policy import Facts, begin_of_day, decide, failed_too_often, if_running
from shared.triggers.records import policy_of
from shared.triggers.ticks import CLOCK_WENT_BACK

MOST_WAITING = 100  # that one look goes through
OPEN = [state for state in JobState if state not in TERMINAL]
COUNTED = timedelta(days=2)  # longer than a day of max_per_day


class Looking(Database):
    """The part of the JobStore that looks at triggers."""

    def take_due_trigger(self, *, lease_seconds: float, kinds: Collection[Kind] = tuple(Kind)) -> Due | None:
        """Take the trigger of these kinds that has been due longest."""
        lease = timedelta(seconds=lease_seconds)
        with self.reading() as transaction:  # most often nothing is due, and nobody waits for that to be found out
            if _find_due(transaction, lease, kinds) is None:
                return None
        with self.writing() as transaction:
            now = transaction.now
            row = _find_due(transaction, lease, kinds, for_update=True)
            if row is None:
                return None
            token = row.look_token + 1
            change_trigger(transaction, row, look_token=token, look_until=now + lease)
            waiting = tuple(to_event(each, row.name) for each in _ready(transaction, row))
            secret = bytes(row.secret) if row.secret is not None else None
            return Due(trigger=to_trigger(row), token=token, now=now, secret=secret, waiting=waiting)

    def settle_trigger(self, due: Due, found: Settlement) -> Sequence[Settled]:
        """Record what a look found."""
        with self.writing() as transaction:
            transaction.lock("triggers", Lock.TRIGGERS, shared=True)  # nothing fires after a pause of all has begun
            row = transaction.one(sa.select(triggers).where(triggers.c.id == due.trigger.id).with_for_update())
            if row is None or row.look_token != due.token or row.state != TriggerState.ACTIVE:
                raise LeaseLost(f"Trigger {due.trigger.name!r} was taken by another worker, or changed.")
            if read_pause(transaction) is not None:
                raise LeaseLost("All triggers were paused.")
            policy = policy_of(row.policy)
            settled = [self._settle(transaction, row, policy, entry) for entry in found.entries]
            times = [at for at in (found.look_at, first_wait(transaction, row)) if at is not None]
            seen = {} if found.seen is None else {"seen": dict(found.seen)}
            since = {} if found.since is None else {"since": found.since}
            values = {"look_at": min(times, default=None), "looked_at": transaction.now, "look_until": None}
            change_trigger(transaction, row, **values, **seen, **since)
            return settled

    def _settle(self, transaction: Transaction, row: sa.Row[Any], policy: Policy, entry: Entry) -> Settled:
        known = find_event(transaction, row, entry.occurrence.key or None)
        if known is not None and known.outcome != Outcome.WAITING:
            return Settled(to_event(known, row.name))
        if entry.verdict is not None or entry.new is None:
            verdict = entry.verdict or Verdict(Outcome.SKIPPED, "no job was made ready for it")
            return Settled(_note(transaction, row, entry, verdict))
        if row.disable_after is not None and (last := _failures(transaction, row)) is not None:
            return Settled(_note(transaction, row, entry, failed_too_often(row.disable_after, last)))
        facts = _read_facts(transaction, row, policy, entry)
        verdict = decide(row.name, row.kind, policy, entry.occurrence, facts)
        if verdict.outcome is not Outcome.FIRED:
            return Settled(_note(transaction, row, entry, verdict))
        try:
            require_room(transaction, entry.new, most=self.limits.waiting_per_caller)
            take_model(transaction, entry.new, isolated=self.teams_isolated)
        except (ModelOfAnotherTeam, TooManyJobsQueued) as error:
            return Settled(_note(transaction, row, entry, Verdict(Outcome.SKIPPED, error.message)))
        older = facts.unfinished if if_running(policy, row.kind) == "cancel_older" else ()
        by = firing(row.name, row.team)
        cancelled = [self._cancel(transaction, job_id, act_of_service(by, "cancelJob")) for job_id in older]
        job = insert_job(transaction, entry.new)
        event = write_event(transaction, row, entry.occurrence, verdict, job_id=job.id)
        change_trigger(transaction, row, fired_at=transaction.now)
        supersede(transaction, row, event)
        transaction.record_act(f"job:{job.id}", act=act_of_service(by, "fireTrigger"))
        return Settled(event, job, tuple(each for each in cancelled if each.state == JobState.CANCELLED))

    def _cancel(self, transaction: Transaction, job_id: str, act: Act) -> Job:
        row = read_job(transaction, job_id, for_update=True)
        if row.state not in TERMINAL and row.state in (*SUPERVISED, JobState.QUEUED, JobState.RETRY_WAIT):
            cancel_job(transaction, row, force=False, alerting=self.alerting)
        job = complete(transaction, read_job(transaction, job_id))
        if job.version != row.version:
            transaction.record_act(f"job:{job_id}", act=act)
        return job

    def succeeded_since(
        self,
        since: datetime,
        *,
        trigger: str | None = None,
        model: str | None = None,
        team: str | None = None,
        limit: int,
    ) -> Sequence[Succeeded]:
        """Return the jobs that succeeded after that time."""
        here = jobs.c
        where = [here.ended_at > since, _unindexed(here.state) == JobState.SUCCEEDED]
        where += [_unindexed(here.trigger_name) == trigger] if trigger is not None else []
        where += [_unindexed(here.model_name) == model] if model is not None else []
        where += [_unindexed(here.team) == team] if team is not None else []
        columns = (here.id.label("job_id"), here.ended_at, here.model_name, here.trigger_name, here.triggered_by)
        with self.reading() as transaction:
            first = sa.select(*columns).where(*where).order_by(here.ended_at, here.id).limit(limit)
            return [Succeeded(**row._mapping) for row in transaction.all(first)]

    def pause_failing_triggers(self) -> Sequence[Trigger]:
        """Pause those whose last jobs have all failed."""
        counted = (triggers.c.disable_after.is_not(None), triggers.c.state == TriggerState.ACTIVE)
        a_failed_one = sa.exists().where(
            jobs.c.trigger_name == triggers.c.name,
            jobs.c.state == JobState.FAILED,
            jobs.c.created_at >= triggers.c.resumed_at,
        )
        with self.reading() as transaction:
            rows = transaction.all(sa.select(triggers).where(*counted, a_failed_one).order_by(triggers.c.name))
            failing = [row.id for row in rows if _failures(transaction, row) is not None]
        return [paused for each in failing if (paused := self._pause_failing(each)) is not None]

    def _pause_failing(self, trigger_id: str) -> Trigger | None:
        with self.writing() as transaction:
            row = transaction.one(sa.select(triggers).where(triggers.c.id == trigger_id).with_for_update())
            last = _failures(transaction, row) if row is not None and row.state == TriggerState.ACTIVE else None
            if row is None or last is None:
                return None
            reason = failed_too_often(row.disable_after, last).reason
            values = {"state": TriggerState.PAUSED, "paused_at": transaction.now, "paused_reason": reason}
            change_trigger(transaction, row, **values, look_token=row.look_token + 1, look_until=None)
            job = read_job(transaction, last, for_update=True)
            record_alert(transaction, job, AlertEvent.TRIGGER_PAUSED, self.alerting)
            return to_trigger(transaction.execute(sa.select(triggers).where(triggers.c.id == row.id)).one())

    def forget_trigger_events(self, *, older_than_days: float, most: int) -> int:
        """Delete old events, and those of which there are too many."""
        here = trigger_events.c
        with self.reading() as transaction:  # nobody waits for the count
            crowded = transaction.all(
                sa.select(here.trigger_id).group_by(here.trigger_id).having(sa.func.count() > most)
            )
        with self.writing() as transaction:
            until = transaction.now - timedelta(days=older_than_days)
            old = (here.last_at < until, *_may_go(transaction))
            count: int = transaction.execute(sa.delete(trigger_events).where(*old)).rowcount
            return count + sum(_keep_newest(transaction, row.trigger_id, most) for row in crowded)


def _note(transaction: Transaction, row: sa.Row[Any], entry: Entry, verdict: Verdict) -> TriggerEvent:
    event = write_event(transaction, row, entry.occurrence, verdict)
    if verdict.outcome is Outcome.WAITING:
        supersede(transaction, row, event)
    return event


def _find_due(
    transaction: Transaction, lease: timedelta, kinds: Collection[Kind], *, for_update: bool = False
) -> sa.Row[Any] | None:
    """Return the next trigger to look at: due, or looked at when the clock was ahead, whatever it was due then."""
    here, now = triggers.c, transaction.now
    held = sa.and_(here.look_until > now, here.look_until <= now + lease)  # a later end is of a clock that jumped
    free = (here.state == TriggerState.ACTIVE, here.kind.in_(kinds), sa.or_(here.look_until.is_(None), ~held))
    fires = ~sa.exists().where(trigger_pause.c.since.is_not(None))
    for is_due, order in (
        (here.look_at <= now, here.look_at),
        (here.looked_at > now + CLOCK_WENT_BACK, here.looked_at),
    ):
        oldest = sa.select(triggers).where(is_due, *free, fires).order_by(order, here.id).limit(1)
        row = transaction.one(oldest.with_for_update(skip_locked=True, of=triggers) if for_update else oldest)
        if row is not None:
            return row
    return None


def _unindexed(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return the column without its indexes: SQLite would read all jobs of a state or model, not only the newest."""
    return sa.func.coalesce(column, "", type_=sa.String())


def _ready(transaction: Transaction, row: sa.Row[Any]) -> list[sa.Row[Any]]:
    here, now = trigger_events.c, transaction.now
    over = sa.or_(here.until.is_(None), here.until <= now, here.last_at > now + CLOCK_WENT_BACK)
    mine = sa.select(trigger_events).where(here.trigger_id == row.id, here.outcome == Outcome.WAITING, over)
    return transaction.all(mine.order_by(here.number).limit(MOST_WAITING))


def _read_facts(transaction: Transaction, row: sa.Row[Any], policy: Policy, entry: Entry) -> Facts:
    """Read what the policy asks about. What is of later than now was written before the clock was set back."""
    here, now = trigger_events.c, transaction.now
    believed = now + CLOCK_WENT_BACK
    today = sa.select(sa.func.count()).where(
        here.trigger_id == row.id,
        here.outcome == Outcome.FIRED,
        here.last_at >= begin_of_day(policy, now),  # when it fired: it may have been recorded long before
        here.last_at <= believed,
    )
    last = sa.select(triggers.c.fired_at).where(triggers.c.id == row.id, triggers.c.fired_at <= believed)
    mine = (jobs.c.trigger_name == row.name, jobs.c.created_at >= row.created_at)
    running = sa.select(jobs.c.id).where(*mine, jobs.c.state.in_(OPEN)).order_by(jobs.c.created_at, jobs.c.id)
    return Facts(
        now=now,
        fired_at=transaction.execute(last).scalar(),
        fired_today=transaction.execute(today).scalar_one() if policy.max_per_day is not None else 0,
        unfinished=tuple(each.id for each in transaction.all(running)),
        last_inputs=_last_inputs(transaction, mine) if policy.skip_if_same_inputs else None,
        inputs=entry.inputs,
    )


def _last_inputs(transaction: Transaction, mine: tuple[sa.ColumnElement[bool], ...]) -> Mapping[str, Any] | None:
    newest = sa.select(jobs).where(*mine, jobs.c.state == JobState.SUCCEEDED).order_by(jobs.c.created_at.desc())
    row = transaction.one(newest.limit(1))
    if row is None:
        return None
    return inputs_of_job(
        row.request,
        commit_sha=row.commit_sha,
        dataset_repo=row.dataset_repo,
        base_model_version=row.base_model_version,
        triggered_by=row.triggered_by,
    )


def _failures(transaction: Transaction, row: sa.Row[Any]) -> str | None:
    """Return the newest of the trigger's jobs, if so many as it allows have failed since it was resumed."""
    ended = (jobs.c.trigger_name == row.name, jobs.c.state.in_([JobState.SUCCEEDED, JobState.FAILED]))
    newest = sa.select(jobs.c.id, jobs.c.state).where(*ended, jobs.c.created_at >= row.resumed_at)
    found = transaction.all(newest.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(row.disable_after))
    if len(found) < row.disable_after or any(each.state != JobState.FAILED for each in found):
        return None
    return str(found[0].id)


def _keep_newest(transaction: Transaction, trigger_id: str, most: int) -> int:
    here = trigger_events.c
    newest = sa.select(here.number).where(here.trigger_id == trigger_id).order_by(here.number.desc())
    first_gone = newest.offset(most).limit(1).scalar_subquery()
    old = (here.trigger_id == trigger_id, here.number <= first_gone, *_may_go(transaction))
    count: int = transaction.execute(sa.delete(trigger_events).where(*old)).rowcount
    return count


def _may_go(transaction: Transaction) -> tuple[sa.ColumnElement[bool], ...]:
    """Keep what waits, what max_per_day counts, and what is known of times that a clock that was set back reaches."""
    here, now = trigger_events.c, transaction.now
    counts = sa.and_(here.outcome == Outcome.FIRED, here.last_at > now - COUNTED)
    return here.outcome != Outcome.WAITING, ~counts, here.at <= now
