"""Jobs in bulk: a few that the store itself took through their lives, copied within the database."""

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha1
from typing import Any

import sqlalchemy as sa

from shared.errors import Code, FailureType
from shared.jobs.model import JobState, NewJob, Reason
from shared.jobs.records import Claim, Ending, Resolution
from shared.scheduling.hosts import Host
from shared.sql import SqlStore
from shared.sql.column_types import UtcDateTime
from shared.sql.engine import Transaction
from shared.sql.tables import IS_QUEUED, attempts, jobs, labels, log_chunks, transitions
from tests.support.jobs import FAILED, SUCCEEDED, a_host, claim, new_job

KEYS = 5000  # models that are trained; one job of each runs at the same time
ORIGINALS = 50
APART_SECONDS = 1500  # between copies of an ended job: a million jobs are those of a year
QUEUED_APART_SECONDS = 1  # likewise of one that waits
# In a transaction. In PostgreSQL each job that has ended leaves a version of a count there, which the next ones read.
COPIES_AT_ONCE = {"sqlite": 1000, "postgresql": 20}
WHERE_JOBS_ARE = (jobs, labels, attempts, transitions, log_chunks)
LOG = b"epoch 1 loss 0.41 accuracy 0.87\n" * 16
FIRST_DIGITS = 10_000_000  # ids begin with eight digits that differ, and not in the order of time, as UUIDs do
SPREAD, PERIOD = 7919, 89_999_989
BAD_EXIT = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "The entry point 'main' ended with exit code 1.")


def a_job(number: int, **fields: Any) -> NewJob:
    """A request as a team's dataset system sends it."""
    name = f"model-{number % KEYS}"
    request = {"experiment_name": name, "git_uri": f"https://git.example/{name}.git", "model_name": name}
    words = {"team": f"team-{number % 20}", "dataset": f"set-{number % 200}"}
    usual = {"experiment_name": name, "model_name": name, "concurrency_key": f"model:{name}", "gpus": 1}
    return new_job(request=request, labels=words, **{**usual, **fields})


class History:
    """The jobs of one store that nobody works on."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._ended: list[str] = []
        self._copies = 0

    def fill_ended(self, count: int) -> None:
        """Have at least so many ended jobs."""
        while len(self._ended) < min(count, ORIGINALS):
            self._ended.append(_end_one(self._store, len(self._ended)))
        have = _count(self._store, jobs.c.state.in_([JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]))
        self._copy(self._ended, (count - have) // ORIGINALS, apart_seconds=APART_SECONDS)

    def fill_queued(self, count: int) -> None:
        """Have at least so many jobs that wait and were not sent; ever more of them for each model."""
        have = _count(self._store, IS_QUEUED)
        if have >= count:
            return
        original = self._store.submit(a_job(0)).job.id
        self._store.unmark_sent(original)
        self._copy([original], count - have - 1, apart_seconds=QUEUED_APART_SECONDS)

    def _copy(self, originals: Sequence[str], copies: int, *, apart_seconds: int) -> None:
        last, at_once = self._copies + max(0, copies), COPIES_AT_ONCE[self._store.engine.dialect.name]
        while self._copies < last:
            first, self._copies = self._copies + 1, min(last, self._copies + at_once)
            with self._store.writing() as transaction:
                _copy(transaction, originals, range(first, self._copies + 1), apart_seconds=apart_seconds)


def _count(store: SqlStore, *where: sa.ColumnElement[bool]) -> int:
    with store.reading() as transaction:
        count: int = transaction.execute(sa.select(sa.func.count()).select_from(jobs).where(*where)).scalar_one()
        return count


def _end_one(store: SqlStore, number: int) -> str:
    """Of ten jobs seven succeed, one of them at its second try; two fail, and one is cancelled."""
    host = a_host("gpu-of-the-past", gpus=("0",))
    job_id = store.submit(a_job(number, concurrency_key=f"original {number}")).job.id
    match number % 10:
        case 9:
            return store.cancel(job_id, force=False).id
        case 7 | 8:
            return _attempt(store, job_id, host, Ending(JobState.FAILED, BAD_EXIT, exit_code=1))
        case 6:
            _attempt(store, job_id, host, Ending(JobState.FAILED, FAILED.reason, retry_in_seconds=0))
            store.wake_retries()
    return _attempt(store, job_id, host, SUCCEEDED)


def _attempt(store: SqlStore, job_id: str, host: Host, ending: Ending) -> str:
    taken: Claim = claim(store, job_id, host=host)
    store.resolve(taken, Resolution(commit_sha=sha1(job_id.encode(), usedforsecurity=False).hexdigest()))
    store.started(taken, runner="docker", container=f"container of {job_id}")
    store.append_log(taken, LOG, source_offset=len(LOG))
    return store.finish(taken, ending).id


def _copy(transaction: Transaction, originals: Sequence[str], copies: range, *, apart_seconds: int) -> None:
    numbers = sa.select(sa.literal(copies.start).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < copies.stop - 1))
    earlier = partial(_earlier, transaction, numbers.c.n * apart_seconds)
    for table in WHERE_JOBS_ARE:
        id_column = table.c.id if table is jobs else table.c.job_id
        columns: dict[str, Any] = {column.name: earlier(column) for column in table.columns}
        columns[id_column.name] = _another_id(id_column, numbers.c.n)
        columns |= _of_a_model(numbers.c.n) if table is jobs else {}
        rows = sa.select(*columns.values()).select_from(sa.join(table, numbers, sa.true()))
        transaction.execute(sa.insert(table).from_select(list(columns), rows.where(id_column.in_(originals))))


def _another_id(column: sa.ColumnElement[Any], number: sa.ColumnElement[int]) -> sa.ColumnElement[Any]:
    digits = sa.cast(FIRST_DIGITS + (number * SPREAD) % PERIOD, sa.String)
    return digits.concat(sa.func.substr(column, 9))


def _of_a_model(number: sa.ColumnElement[int]) -> Mapping[str, sa.ColumnElement[Any]]:
    name = sa.literal("model-", sa.String).concat(sa.cast(number % KEYS, sa.String))
    key = sa.literal("model:", sa.String).concat(name)
    return {"experiment_name": name, "model_name": name, "concurrency_key": key}


def _earlier(transaction: Transaction, seconds: sa.ColumnElement[int], column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    if not isinstance(column.type, UtcDateTime):
        return column
    if transaction.connection.dialect.name == "postgresql":
        return column - sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)
    by = sa.literal("-", sa.String).concat(sa.cast(seconds, sa.String)).concat(" seconds")
    return sa.func.strftime("%Y-%m-%d %H:%M:%f000", column, by)
