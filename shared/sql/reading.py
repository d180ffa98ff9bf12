"""What the API does in the store: submit, get, list, cancel, read logs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shared.alerts.model import AlertEvent
from shared.errors import IdempotencyKeyReused, JobEnded, StateUnknown, StoreUnavailable
from shared.jobs.model import SUPERVISED, Job, JobState, NewJob
from shared.jobs.records import USER_CANCELLED, Cursor, JobFilter, LogSlice, Submission
from shared.requests.fields import is_for_newer_workers
from shared.scheduling.waiting import NEWER_WORKER
from shared.sql.engine import Database, Transaction
from shared.sql.outbox import record_alert
from shared.sql.rows import change_job, complete, move_job, new_job_of, read_job, reason_columns, with_attempts
from shared.sql.tables import attempts, idempotency_keys, jobs, labels, log_chunks, pings, transitions, workers
from shared.words import is_known

BEGINNING = {"state": JobState.QUEUED, "version": 1, "attempt": 0, "lease_token": 0, "cancel_forced": False}
# Built once, and read back in the same statement: what is answered is what the database has.
INSERT_JOB = sa.insert(jobs).returning(*jobs.c)
INSERT_LABELS = sa.insert(labels).returning(labels.c.name, labels.c.value)
INSERT_TRANSITION = (
    sa.insert(transitions)
    .values(number=1, from_state=None, to_state=JobState.QUEUED, attempt=0, reason="submitted")
    .returning(*transitions.c)
)


class Reading(Database):
    """The part of the JobStore that the API uses."""

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        """Record the job and the key in one transaction."""
        try:
            with self.writing() as transaction:
                if known := _find_key(transaction, idempotency_key, payload_hash):
                    return Submission(complete(transaction, read_job(transaction, known)), created=False)
                job = _insert(transaction, _for_the_right_workers(transaction, new))
                if idempotency_key is not None:
                    key = {"key": idempotency_key, "payload_hash": payload_hash, "job_id": new.id}
                    transaction.execute(sa.insert(idempotency_keys).values(**key, created_at=transaction.now))
                return Submission(job, created=True)
        except IntegrityError:  # two requests with the same new key at once: the other one was first
            with self.reading() as transaction:
                if known := _find_key(transaction, idempotency_key, payload_hash):
                    return Submission(complete(transaction, read_job(transaction, known)), created=False)
            raise

    def get(self, job_id: str) -> Job:
        """Return the job, or raise JobNotFound."""
        with self.reading() as transaction:
            return complete(transaction, read_job(transaction, job_id))

    def cancel(self, job_id: str, *, force: bool) -> Job:
        """Cancel a waiting job, or have its worker stop it."""
        with self.writing() as transaction:
            row = read_job(transaction, job_id, for_update=True)
            state: JobState = row.state
            if not is_known(state):
                raise StateUnknown(row.id, state)
            if state.is_terminal:
                raise JobEnded(f"Job {row.id} has ended as {state}; there is nothing to cancel.", job_id=row.id)
            if state not in SUPERVISED:
                ended = {"ended_at": transaction.now, "secret": None, **reason_columns(USER_CANCELLED)}
                move_job(transaction, row, JobState.CANCELLED, USER_CANCELLED.message, **ended)
                record_alert(transaction, row, AlertEvent.CANCELLED, self.alerting)
            elif state is not JobState.CANCELLING:
                move_job(transaction, row, JobState.CANCELLING, "cancel requested", cancel_forced=force)
            elif force and not row.cancel_forced:
                change_job(transaction, row, cancel_forced=True)
            return complete(transaction, read_job(transaction, job_id))

    def get_version(self, job_id: str) -> tuple[int, JobState]:
        """Return version and state only."""
        with self.reading() as transaction:
            row = read_job(transaction, job_id)
            return row.version, row.state

    def list(self, where: JobFilter, *, limit: int, after: Cursor | None = None) -> Sequence[Job]:
        """Return the newest jobs first."""
        statement = sa.select(jobs).where(*_conditions(where))
        if after is not None:
            place = sa.tuple_(jobs.c.created_at, jobs.c.id)
            end = sa.tuple_(sa.bindparam(None, after.created_at, jobs.c.created_at.type), sa.literal(after.id))
            statement = statement.where(place < end)
        with self.reading() as transaction:
            rows = transaction.all(statement.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit))
            return with_attempts(transaction, rows)

    def read_log(self, job_id: str, *, attempt: int | None, offset: int, limit: int) -> LogSlice:
        """Return part of an attempt's log, from the chunks that contain it."""
        with self.reading() as transaction:
            last = read_job(transaction, job_id).attempt
            number = attempt or last
            mine = (attempts.c.job_id == job_id, attempts.c.number == number)
            row = transaction.one(sa.select(attempts.c.log_size).where(*mine))
            size = row.log_size if row else 0
            start = max(0, size + offset) if offset < 0 else min(offset, size)
            data = _read_chunks(transaction, job_id, number, start, limit)
            return LogSlice(attempt=number, offset=start, data=data, size=size)

    def ping(self) -> None:
        """Write a row and read it back."""
        with self.writing() as transaction:
            transaction.lock("ping")
            transaction.execute(sa.delete(pings))
            transaction.execute(sa.insert(pings).values(id=1, at=transaction.now))
            if transaction.one(sa.select(pings.c.id)) is None:
                raise StoreUnavailable("The job store does not keep what is written to it.")


def _find_key(transaction: Transaction, key: str | None, payload_hash: str) -> str | None:
    if key is None:
        return None
    row = transaction.one(sa.select(idempotency_keys).where(idempotency_keys.c.key == key))
    if row is None:
        return None
    if row.payload_hash != payload_hash:
        raise IdempotencyKeyReused(
            f"This Idempotency-Key was used for job {row.job_id} with another body. Use a new key for a new request.",
            job_id=row.job_id,
        )
    job_id: str = row.job_id
    return job_id


def _for_the_right_workers(transaction: Transaction, new: NewJob) -> NewJob:
    """Label the job so that no older worker takes it and fails, while there is one that does not say what it knows."""
    if not is_for_newer_workers(new.request):
        return new
    earlier = sa.select(workers.c.host).where(workers.c.request_fields.is_(None), sa.not_(workers.c.has_left))
    if transaction.one(earlier.limit(1)) is None:
        return new
    return replace(new, wanted_labels=(*new.wanted_labels, NEWER_WORKER))


def _insert(transaction: Transaction, new: NewJob) -> Job:
    values = {**vars(new)}
    words = values.pop("labels")
    seconds = values.pop("queue_timeout_seconds")
    now = transaction.now
    deadline = now + timedelta(seconds=seconds) if seconds is not None else None
    # Marked as sent, because the caller publishes it next. If it dies first, the sweep sends it once the mark is old.
    times = {"created_at": now, "queued_at": now, "sent_at": now, "queue_deadline_at": deadline}
    had_secret = new.secret is not None
    row = transaction.execute(INSERT_JOB, **values, **times, **BEGINNING, had_secret=had_secret).one()
    same = {"job_id": new.id}
    wanted = [{**same, "name": name, "value": value} for name, value in words.items()]
    written = transaction.connection.execute(INSERT_LABELS, wanted).all() if wanted else []
    change = transaction.execute(INSERT_TRANSITION, job_id=new.id, at=now).one()
    return new_job_of(row, words={label.name: label.value for label in written}, change=change)


def _conditions(where: JobFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if where.states is not None:
        conditions.append(jobs.c.state.in_(where.states))
    if where.experiment_name is not None:
        conditions.append(jobs.c.experiment_name == where.experiment_name)
    if where.model_name is not None:
        conditions.append(jobs.c.model_name == where.model_name)
    if where.created_after is not None:
        conditions.append(jobs.c.created_at > where.created_after)
    if where.id_start is not None:
        conditions.append(jobs.c.id.startswith(where.id_start, autoescape=True))
    if where.label is not None:
        name, value = where.label
        match = sa.select(labels.c.job_id).where(labels.c.name == name)
        conditions.append(jobs.c.id.in_(match if value is None else match.where(labels.c.value == value)))
    return conditions


def _read_chunks(transaction: Transaction, job_id: str, number: int, start: int, limit: int) -> bytes:
    mine = (log_chunks.c.job_id == job_id, log_chunks.c.attempt == number)
    first = sa.select(sa.func.max(log_chunks.c.offset)).where(*mine, log_chunks.c.offset <= start)
    rows = transaction.execute(
        sa.select(log_chunks.c.offset, log_chunks.c.data)
        .where(*mine, log_chunks.c.offset >= first.scalar_subquery(), log_chunks.c.offset < start + limit)
        .order_by(log_chunks.c.offset)
    )
    return b"".join(bytes(row.data)[max(0, start - row.offset) :] for row in rows)[:limit]
