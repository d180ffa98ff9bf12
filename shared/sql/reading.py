"""What the API does in the store: submit, get, list, cancel, read logs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shared.errors import IdempotencyKeyReused, StoreUnavailable
from shared.jobs.model import WAITING_STATES, Job, JobState, NewJob, not_waiting
from shared.jobs.records import Cursor, JobFilter, LogSlice, Submission
from shared.sql.access.model_teams import take_model
from shared.sql.access.waiting import require_room
from shared.sql.engine import Database, Transaction
from shared.sql.rows import cancel_job, change_job, complete, insert_job, read_job, read_of_job, with_attempts
from shared.sql.tables import attempts, idempotency_keys, jobs, labels, log_chunks, pings

FEW = 2000
MOST_COMMITS = 4  # that begin alike and are looked up one by one
Label = tuple[str, str | None]
VERSION = sa.select(jobs.c.version, jobs.c.state).where(jobs.c.id == sa.bindparam("of_id"))


class Reading(Database):
    """The part of the JobStore that the API uses."""

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        """Record the job and the key in one transaction."""
        try:
            with self.writing() as transaction:
                if known := _find_key(transaction, idempotency_key, payload_hash):
                    return Submission(complete(transaction, read_job(transaction, known)), created=False)
                require_room(transaction, new, most=self.limits.waiting_per_caller)
                take_model(transaction, new, isolated=self.teams_isolated)
                job = insert_job(transaction, new)
                if idempotency_key is not None:
                    key = {"key": idempotency_key, "payload_hash": payload_hash, "job_id": new.id}
                    transaction.execute(sa.insert(idempotency_keys).values(**key, created_at=transaction.now))
                transaction.record_act(f"job:{new.id}")
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
            cancel_job(transaction, row, force=force, alerting=self.alerting)
            job = complete(transaction, read_job(transaction, job_id))
            if job.version != row.version:
                transaction.record_act(f"job:{row.id}")
            return job

    def set_priority(self, job_id: str, priority: int) -> Job:
        """Change a waiting job's priority."""
        with self.writing() as transaction:
            row = read_job(transaction, job_id, for_update=True)
            if row.state not in WAITING_STATES:
                raise not_waiting(job_id, row.state)
            if row.priority != priority:
                change_job(transaction, row, priority=priority)
                transaction.record_act(f"job:{row.id}")
            return complete(transaction, read_job(transaction, job_id))

    def get_version(self, job_id: str) -> tuple[int, JobState]:
        """Return version and state only."""
        with self.looking() as transaction:
            row = read_of_job(transaction, VERSION, job_id)
            return row.version, row.state

    def list(self, where: JobFilter, *, limit: int, after: Cursor | None = None) -> Sequence[Job]:
        """Return the newest jobs first."""
        with self.reading() as transaction:
            newest = _newest(where, _ways(transaction, where), limit=limit, after=after)
            in_order = (newest.c.created_at.desc(), newest.c.id.desc())
            rows = sa.select(jobs).join(newest, jobs.c.id == newest.c.id).order_by(*in_order).limit(limit)
            return with_attempts(transaction, transaction.all(rows))

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


@dataclass(frozen=True)
class _Way:
    """One way in which a job may match: conditions on its row, and labels that it must have."""

    of_job: Sequence[sa.ColumnElement[bool]]
    labels: Sequence[Label]
    is_by_label: bool  # whether to look through the first label's rows, and not the jobs'


def _ways(transaction: Transaction, where: JobFilter) -> list[_Way]:
    """Return the ways to match; each is looked up alone, because only then an index has its order."""
    found = []
    for each in where.any_of or (JobFilter(),):
        labelled = [label for label in (each.label, where.label) if label is not None]
        of_job = [*_of_job(where), *_of_job(each)]
        for commits in product(*(_of_commit(transaction, one.commit_start) for one in (where, each))):
            conditions = [*of_job, *chain(*commits)]
            by_label = bool(labelled) and not are_few(transaction, conditions)
            found.append(_Way(conditions, labelled, by_label))
    return found


def _of_commit(transaction: Transaction, start: str | None) -> list[list[sa.ColumnElement[bool]]]:
    """Return for each commit that begins so the condition that it is a job's."""
    if start is None:
        return [[]]
    # A range, as for ids. Its jobs would have to be sorted, of which one commit alone may have a great many.
    in_range = [jobs.c.commit_sha >= start, jobs.c.commit_sha < f"{start}z"]
    commits: list[str] = []
    while len(commits) <= MOST_COMMITS:
        beyond = [jobs.c.commit_sha > commits[-1]] if commits else []
        least = sa.select(jobs.c.commit_sha).where(*in_range, *beyond).order_by(jobs.c.commit_sha).limit(1)
        if (row := transaction.one(least)) is None:
            return [[jobs.c.commit_sha == each] for each in commits]
        commits.append(row.commit_sha)
    return [[*in_range, jobs.c.commit_sha.startswith(start, autoescape=True)]]


def _newest(where: JobFilter, ways: Sequence[_Way], *, limit: int, after: Cursor | None) -> sa.Subquery:
    """Return the jobs' times and ids, each job once. Each state is looked up alone, as each way is."""
    states = [None] if where.states is None else sorted(where.states)
    found = [_of_state(where, way, state, after=after).limit(limit) for way in ways for state in states]
    if not found:
        return sa.select(jobs.c.created_at, jobs.c.id).where(sa.false()).subquery()
    combine = sa.union if len(ways) > 1 else sa.union_all
    return combine(*(sa.select(each.subquery()) for each in found)).subquery()


def _of_state(where: JobFilter, way: _Way, state: JobState | None, *, after: Cursor | None) -> sa.Select[Any]:
    """Return one state's matching jobs, the newest first, from the labels' rows or the jobs'."""
    table, job_id = (labels, labels.c.job_id) if way.is_by_label else (jobs, jobs.c.id)
    conditions = [table.c.state == state] if state is not None else []
    if where.created_after is not None:
        conditions.append(table.c.created_at > where.created_after)
    if after is not None:
        end = sa.tuple_(sa.bindparam(None, after.created_at, table.c.created_at.type), sa.literal(after.id))
        conditions.append(sa.tuple_(table.c.created_at, job_id) < end)
    other_labels = way.labels
    if way.is_by_label:
        first, *other_labels = way.labels
        conditions += _of_label(first, labels)
        conditions += [sa.exists().where(jobs.c.id == job_id, *way.of_job)] if way.of_job else []
    else:
        conditions += way.of_job
    conditions += [_has_label(job_id, each) for each in other_labels]
    in_order = (table.c.created_at.desc(), job_id.desc())
    return sa.select(table.c.created_at, job_id.label("id")).where(*conditions).order_by(*in_order)


def _has_label(job_id: sa.ColumnElement[str], label: Label) -> sa.ColumnElement[bool]:
    rows = labels.alias()
    return sa.exists().where(rows.c.job_id == job_id, *_of_label(label, rows))


def are_few(transaction: Transaction, of_job: Sequence[sa.ColumnElement[bool]]) -> bool:
    """Return whether there are such conditions and so few jobs that each one's rows elsewhere can be looked at."""
    some = sa.select(sa.literal(1)).select_from(jobs).where(*of_job).limit(FEW + 1).subquery()
    return bool(of_job) and transaction.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() <= FEW


def _of_job(where: JobFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if where.experiment_name is not None:
        conditions.append(jobs.c.experiment_name == where.experiment_name)
    if where.model_name is not None:
        conditions.append(jobs.c.model_name == where.model_name)
    if where.trigger is not None:
        conditions.append(jobs.c.trigger_name == where.trigger)
    if where.submitted_by is not None:
        conditions.append(jobs.c.submitted_by == where.submitted_by)
    if where.team is not None:
        conditions.append(jobs.c.team == where.team)
    if where.host is not None:
        conditions.append(jobs.c.host == where.host)
    if where.ids is not None:
        conditions.append(jobs.c.id.in_(where.ids))
    if where.id_start is not None:
        # A range, because LIKE uses no index. What follows in an id comes before "z", however a database sorts.
        conditions += [jobs.c.id >= where.id_start, jobs.c.id < f"{where.id_start}z"]
        conditions.append(jobs.c.id.startswith(where.id_start, autoescape=True))
    return conditions


def _of_label(label: Label, rows: sa.FromClause) -> list[sa.ColumnElement[bool]]:
    name, value = label
    return [rows.c.name == name, *([rows.c.value == value] if value is not None else [])]


def _read_chunks(transaction: Transaction, job_id: str, number: int, start: int, limit: int) -> bytes:
    mine = (log_chunks.c.job_id == job_id, log_chunks.c.attempt == number)
    first = sa.select(sa.func.max(log_chunks.c.offset)).where(*mine, log_chunks.c.offset <= start)
    rows = transaction.execute(
        sa.select(log_chunks.c.offset, log_chunks.c.data)
        .where(*mine, log_chunks.c.offset >= first.scalar_subquery(), log_chunks.c.offset < start + limit)
        .order_by(log_chunks.c.offset)
    )
    return b"".join(bytes(row.data)[max(0, start - row.offset) :] for row in rows)[:limit]
