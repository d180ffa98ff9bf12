"""Converts rows to records and back, and is the only way to change a job's row."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import AlertEvent, Alerting
from shared.errors import JobEnded, JobNotFound, StateUnknown
from shared.jobs.model import FOLLOWING, SUPERVISED, Attempt, Job, JobState, NewJob, Reason, Transition
from shared.jobs.records import USER_CANCELLED
from shared.requests.fields import is_for_newer_workers
from shared.scheduling.waiting import NEWER_WORKER
from shared.sql.engine import Transaction
from shared.sql.outbox import record_alert
from shared.sql.tables import attempts, jobs, labels, transitions, workers
from shared.words import is_known

NOT_COLUMNS = {"state", "reason", "labels", "attempts", "transitions", "queue_timeout_seconds", "secret"}
PLAIN_JOB_FIELDS = [field.name for field in fields(Job) if field.name not in NOT_COLUMNS]
PLAIN_ATTEMPT_FIELDS = [field.name for field in fields(Attempt) if field.name not in ("reason", "gpu_ids")]

BEGINNING = {"state": JobState.QUEUED, "version": 1, "attempt": 0, "lease_token": 0, "cancel_forced": False}
# Built once: SQLAlchemy takes longer to build a statement than SQLite to run it.
JOB = sa.select(jobs).where(jobs.c.id == sa.bindparam("of_id"))
LOCKED_JOB = JOB.with_for_update()
ATTEMPTS = sa.select(attempts).where(attempts.c.job_id == sa.bindparam("of_id")).order_by(attempts.c.number)
LABELS = (
    sa.select(labels.c.name, labels.c.value).where(labels.c.job_id == sa.bindparam("of_id")).order_by(labels.c.name)
)
TRANSITIONS = sa.select(transitions).where(transitions.c.job_id == sa.bindparam("of_id")).order_by(transitions.c.number)


def _of_these(statement: sa.Select[Any], job_id: sa.Column[str]) -> dict[str, sa.Select[Any]]:
    """Return it for the jobs ``of_ids``, on each database with one parameter: so it is the same for any number."""
    ids = sa.bindparam("of_ids", type_=sa.ARRAY(sa.String))
    each = sa.func.json_each(sa.bindparam("of_ids", type_=sa.JSON)).table_valued("value")
    return {
        "postgresql": statement.where(job_id == sa.any_(ids)),
        "sqlite": statement.where(job_id.in_(sa.select(each.c.value))),
    }


ATTEMPTS_OF_THESE = _of_these(sa.select(attempts).order_by(attempts.c.number), attempts.c.job_id)
LABELS_OF_THESE = _of_these(
    sa.select(labels.c.job_id, labels.c.name, labels.c.value).order_by(labels.c.name), labels.c.job_id
)

THIS_JOB = jobs.c.id == sa.bindparam("of_id", type_=jobs.c.id.type)
CHANGE_JOB = sa.update(jobs).where(THIS_JOB).values(version=jobs.c.version + 1)  # and what is given when it runs
MARK_JOB = sa.update(jobs).where(THIS_JOB)
LAST_TRANSITION = sa.select(sa.func.coalesce(sa.func.max(transitions.c.number), 0)).where(
    transitions.c.job_id == sa.bindparam("of_id", type_=transitions.c.job_id.type)
)
ADD_TRANSITION = sa.insert(transitions).values(number=LAST_TRANSITION.scalar_subquery() + 1)

# What is answered is what the database has.
INSERT_JOB = sa.insert(jobs).returning(*jobs.c)
INSERT_LABELS = sa.insert(labels).returning(labels.c.name, labels.c.value)
INSERT_TRANSITION = (
    sa.insert(transitions)
    .values(number=1, from_state=None, to_state=JobState.QUEUED, attempt=0, reason="submitted")
    .returning(*transitions.c)
)


def read_job(transaction: Transaction, job_id: str, *, for_update: bool = False) -> sa.Row[Any]:
    """Return the job's row, locked if it is to be changed; raise JobNotFound."""
    return read_of_job(transaction, LOCKED_JOB if for_update else JOB, job_id)


def read_of_job(transaction: Transaction, statement: sa.Select[Any], job_id: str) -> sa.Row[Any]:
    """Return what the statement reads of the job ``of_id``; raise JobNotFound."""
    row = transaction.one(statement, of_id=job_id)
    if row is None:
        raise JobNotFound.of(job_id)
    return row


def complete(transaction: Transaction, row: sa.Row[Any]) -> Job:
    """Return the whole record of one job."""
    return _to_job(
        row,
        attempts=map(_to_attempt, transaction.all(ATTEMPTS, of_id=row.id)),
        labels={each.name: each.value for each in transaction.all(LABELS, of_id=row.id)},
        transitions=map(_to_transition, transaction.all(TRANSITIONS, of_id=row.id)),
    )


def with_attempts(transaction: Transaction, rows: Iterable[sa.Row[Any]]) -> list[Job]:
    """Return the records of jobs with attempts and labels; two queries, however many jobs."""
    rows = list(rows)
    ids = [row.id for row in rows]
    database = transaction.connection.dialect.name
    tries = defaultdict(list)
    for row in transaction.all(ATTEMPTS_OF_THESE[database], of_ids=ids):
        tries[row.job_id].append(_to_attempt(row))
    words: dict[str, dict[str, str]] = defaultdict(dict)
    for row in transaction.all(LABELS_OF_THESE[database], of_ids=ids):
        words[row.job_id][row.name] = row.value
    return [_to_job(row, attempts=tries[row.id], labels=words[row.id]) for row in rows]


def new_job_of(row: sa.Row[Any], *, words: Mapping[str, str], change: sa.Row[Any]) -> Job:
    """Return the record of a job that was just inserted, from what the database says it has of it."""
    in_order = {name: words[name] for name in sorted(words)}
    return _to_job(row, attempts=(), labels=in_order, transitions=[_to_transition(change)])


def _to_job(
    row: sa.Row[Any],
    *,
    attempts: Iterable[Attempt],
    labels: Mapping[str, str],
    transitions: Iterable[Transition] = (),
) -> Job:
    columns = row._mapping
    return Job(
        **{name: columns[name] for name in PLAIN_JOB_FIELDS},
        state=row.state,
        reason=_to_reason(row),
        labels=labels,
        attempts=tuple(attempts),
        transitions=tuple(transitions),
    )


def _to_reason(row: sa.Row[Any]) -> Reason | None:
    if row.reason_code is None:
        return None
    return Reason(row.reason_code, row.reason_type, row.reason_message)


def _to_attempt(row: sa.Row[Any]) -> Attempt:
    plain = {name: getattr(row, name) for name in PLAIN_ATTEMPT_FIELDS}
    return Attempt(**plain, gpu_ids=tuple(row.gpu_ids or ()), reason=_to_reason(row))


def _to_transition(row: sa.Row[Any]) -> Transition:
    return Transition(
        from_state=row.from_state,
        to_state=row.to_state,
        at=row.at,
        attempt=row.attempt,
        reason=row.reason,
    )


def reason_columns(reason: Reason | None) -> dict[str, Any]:
    """Return the three columns of a reason."""
    return {
        "reason_code": reason.code if reason else None,
        "reason_type": reason.type if reason else None,
        "reason_message": reason.message if reason else None,
    }


def change_job(transaction: Transaction, row: sa.Row[Any], **values: Any) -> None:
    """Write to the job's row, which the caller has locked."""
    transaction.execute(CHANGE_JOB, of_id=row.id, **values)


def mark_job(transaction: Transaction, row: sa.Row[Any], **values: Any) -> None:
    """Write columns that nobody is shown: the version stays, so that the ETag does not change."""
    transaction.execute(MARK_JOB, of_id=row.id, **values)


def move_job(transaction: Transaction, row: sa.Row[Any], state: JobState, reason: str, **values: Any) -> None:
    """Change the job's state and record the transition. A forbidden one is a bug of ours, whoever asks."""
    if state not in FOLLOWING.get(row.state, ()):
        raise AssertionError(f"{state} cannot follow {row.state} (job {row.id})")
    change_job(transaction, row, state=state, **values)
    add_transition(transaction, row, state, reason, attempt=values.get("attempt", row.attempt))


def add_transition(transaction: Transaction, row: sa.Row[Any], state: JobState, reason: str, *, attempt: int) -> None:
    """Write one line of the job's history."""
    change = {"from_state": row.state, "to_state": state, "at": transaction.now, "attempt": attempt, "reason": reason}
    transaction.execute(ADD_TRANSITION, of_id=row.id, job_id=row.id, **change)


def insert_job(transaction: Transaction, new: NewJob) -> Job:
    """Write a new job, marked as sent, and return its record."""
    new = _for_the_right_workers(transaction, new)
    values = {**vars(new)}
    words = values.pop("labels")
    seconds = values.pop("queue_timeout_seconds")
    now = transaction.now
    deadline = now + timedelta(seconds=seconds) if seconds is not None else None
    # Marked as sent, because the caller publishes it next. If it dies first, the sweep sends it once the mark is old.
    times = {"created_at": now, "queued_at": now, "sent_at": now, "queue_deadline_at": deadline}
    had_secret = new.secret is not None
    row = transaction.execute(INSERT_JOB, **values, **times, **BEGINNING, had_secret=had_secret).one()
    same = {"job_id": new.id, "created_at": now, "state": JobState.QUEUED}
    wanted = [{**same, "name": name, "value": value} for name, value in words.items()]
    written = transaction.connection.execute(INSERT_LABELS, wanted).all() if wanted else []
    change = transaction.execute(INSERT_TRANSITION, job_id=new.id, at=now).one()
    return new_job_of(row, words={label.name: label.value for label in written}, change=change)


def _for_the_right_workers(transaction: Transaction, new: NewJob) -> NewJob:
    """Label the job so that no older worker takes it and fails, while there is one that does not say what it knows."""
    if not is_for_newer_workers(new.request):
        return new
    earlier = sa.select(workers.c.host).where(workers.c.request_fields.is_(None), sa.not_(workers.c.has_left))
    if transaction.one(earlier.limit(1)) is None:
        return new
    return replace(new, wanted_labels=(*new.wanted_labels, NEWER_WORKER))


def cancel_job(transaction: Transaction, row: sa.Row[Any], *, force: bool, alerting: Alerting) -> None:
    """Cancel a waiting job, or have its worker stop it; the caller has locked its row.

    Raises JobEnded, or StateUnknown if a later version put the job into a state of its own.
    """
    state: JobState = row.state
    if not is_known(state):
        raise StateUnknown(row.id, state)
    if state.is_terminal:
        raise JobEnded(f"Job {row.id} has ended as {state}; there is nothing to cancel.", job_id=row.id)
    if state not in SUPERVISED:
        ended = {"ended_at": transaction.now, "secret": None, **reason_columns(USER_CANCELLED)}
        move_job(transaction, row, JobState.CANCELLED, USER_CANCELLED.message, **ended)
        record_alert(transaction, row, AlertEvent.CANCELLED, alerting)
    elif state is not JobState.CANCELLING:
        move_job(transaction, row, JobState.CANCELLING, "cancel requested", cancel_forced=force)
    elif force and not row.cancel_forced:
        change_job(transaction, row, cancel_forced=True)
