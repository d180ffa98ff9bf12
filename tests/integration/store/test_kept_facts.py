"""What triggers keep beside the jobs' own rows is what these rows say, whichever version of the program writes them."""

from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from shared.jobs.model import TERMINAL, JobState
from shared.jobs.records import JobFilter
from shared.sql import SqlStore, schema
from shared.sql.engine import Database
from shared.sql.tables import ended_counts, jobs, labels
from tests.support.jobs import claim, ended, new_job, running, submit
from tests.support.threads import at_once

BEFORE = "0019"
THREADS, ROUNDS = 4, 6
# As programs of the version before write a label.
OLD_LABEL = "INSERT INTO labels (job_id, name, value) VALUES (:job_id, 'team', 'vision')"
OLD_JOB = """
INSERT INTO jobs (id, state, version, experiment_name, queue, priority, concurrency_key, request, attempt, lease_token,
    cancel_forced, created_at, queued_at)
VALUES (:id, :state, 1, 'iris', 'default', 4, :id, '{}', 0, 0, false, '2026-01-01 00:00:00', '2026-01-01 00:00:00')
"""


@pytest.fixture
def old_store(empty_url: str) -> Iterator[SqlStore]:
    """A store of the version before, with a job that waits and one that has ended, both of a team."""
    database = Database(empty_url)
    with database.writing() as transaction:
        schema.migrate(transaction, BEFORE)
        for state in ("queued", "failed"):
            transaction.execute(sa.text(OLD_JOB), id=state, state=state)
            transaction.execute(sa.text(OLD_LABEL), job_id=state)
    schema.upgrade(database)
    database.close()
    store = SqlStore(empty_url)
    yield store
    store.close()


def _scanned(store: SqlStore) -> Counter[JobState]:
    with store.reading() as transaction:
        return Counter(row.state for row in transaction.all(sa.select(jobs.c.state)))


def _of_team(store: SqlStore, state: str) -> list[str]:
    where = JobFilter(states=frozenset({JobState(state)}), label=("team", "vision"))
    return [job.id for job in store.list(where, limit=9)]


def _live(store: SqlStore, number: int) -> None:
    """End jobs in each way, some on their own thread and some against the others, and delete some."""
    for each in range(ROUNDS):
        ended(store)
        running(store)
        store.cancel(submit(store), force=False)
        if each % 2:
            store.delete_ended(older_than_seconds=0, limit=1 + number)


def test_jobs_that_end_and_are_deleted_at_once_are_counted_as_a_scan_counts_them(sql_store: SqlStore) -> None:
    at_once(THREADS, lambda number: _live(sql_store, number))
    counts = sql_store.get_statistics().jobs
    assert counts == _scanned(sql_store)
    assert counts[JobState.SUCCEEDED] > 0
    assert counts[JobState.RUNNING] == THREADS * ROUNDS


def test_a_job_that_ends_waits_for_no_other_that_ends(postgresql_url: str) -> None:
    store = SqlStore(postgresql_url)
    first = store.cancel(submit(store), force=False).id
    with store.writing() as transaction:
        transaction.execute(sa.delete(jobs).where(jobs.c.id == first))  # and holds the count's row until its end
        store.cancel(submit(store), force=False)
        store.cancel(submit(store), force=False)
    assert store.get_statistics().jobs == _scanned(store) == {JobState.CANCELLED: 2}
    store.close()


def test_the_rows_of_counts_are_few_however_many_jobs_end(sql_store: SqlStore) -> None:
    for _ in range(ROUNDS):
        sql_store.cancel(submit(sql_store), force=False)
    with sql_store.reading() as transaction:
        assert [row.number for row in transaction.all(sa.select(ended_counts))] == [ROUNDS]


def test_jobs_of_the_version_before_are_counted_and_found_by_label_and_state(old_store: SqlStore) -> None:
    assert old_store.get_statistics().jobs == {JobState.QUEUED: 1, JobState.FAILED: 1}
    assert (_of_team(old_store, "queued"), _of_team(old_store, "failed")) == (["queued"], ["failed"])


def test_what_the_version_before_goes_on_writing_is_counted_and_found_too(old_store: SqlStore) -> None:
    with old_store.writing() as transaction:
        transaction.execute(sa.text(OLD_JOB), id="new", state="queued")
        transaction.execute(sa.text(OLD_LABEL), job_id="new")
        transaction.execute(sa.text("UPDATE jobs SET state = 'cancelled' WHERE id = 'queued'"))
        transaction.execute(sa.text("DELETE FROM jobs WHERE id = 'failed'"))
    assert old_store.get_statistics().jobs == {JobState.QUEUED: 1, JobState.CANCELLED: 1}
    found = {state: _of_team(old_store, state) for state in ("queued", "cancelled", "failed")}
    assert found == {"queued": ["new"], "cancelled": ["queued"], "failed": []}
    assert [job.id for job in old_store.list(JobFilter(label=("team", None)), limit=9)] == ["queued", "new"]


def test_labels_have_the_time_and_the_state_of_their_jobs_all_their_life(sql_store: SqlStore) -> None:
    for new in (new_job(labels={"team": "vision"}) for _ in range(3)):
        sql_store.submit(new)
    for job in sql_store.list(JobFilter(), limit=2):
        claim(sql_store, job.id)
    both = sa.select(labels.c.created_at == jobs.c.created_at, labels.c.state == jobs.c.state, jobs.c.state)
    with sql_store.reading() as transaction:
        rows = transaction.all(both.join(jobs, jobs.c.id == labels.c.job_id))
    assert Counter(tuple(row) for row in rows) == {(True, True, "queued"): 1, (True, True, "starting"): 2}
    assert not TERMINAL & {row.state for row in rows}
