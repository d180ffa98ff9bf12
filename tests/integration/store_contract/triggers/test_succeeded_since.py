"""What every job store says of the jobs that have succeeded lately, for the triggers that come after them."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from shared.jobs.store import JobStore
from shared.sql import SqlStore
from tests.support.jobs import FAILED, ended, new_job, running
from tests.support.stores import MakeStore


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    """A store on the true clock: each job ends at a time of its own."""
    return make_store()


def test_only_successes_after_a_time_are_told_the_earliest_first(store: JobStore) -> None:
    first, second = ended(store), ended(store)
    store.finish(running(store), FAILED)
    running(store)
    at = store.get(first).ended_at
    assert at is not None
    told = store.succeeded_since(at - timedelta(minutes=1), limit=9)
    assert [each.job_id for each in told] == [first, second]
    assert told[0].ended_at == at
    assert [each.job_id for each in store.succeeded_since(at, limit=9)] == [second]
    assert [each.job_id for each in store.succeeded_since(at - timedelta(minutes=1), limit=1)] == [first]


def test_they_are_of_one_trigger_or_one_model(store: JobStore) -> None:
    by = {"kind": "cron", "facts": {"chain": 1}}
    mine = ended(store, trigger_name="nightly", triggered_by=by, model_name="iris", team="vision")
    other = ended(store, trigger_name="weekly", model_name="iris")
    ended(store)
    since = store.get(mine).created_at - timedelta(minutes=1)
    (found,) = store.succeeded_since(since, trigger="nightly", limit=9)
    assert (found.job_id, found.trigger_name, found.model_name, found.triggered_by) == (mine, "nightly", "iris", by)
    assert [each.job_id for each in store.succeeded_since(since, model="iris", limit=9)] == [mine, other]
    assert [each.job_id for each in store.succeeded_since(since, team="vision", limit=9)] == [mine]


def test_sqlite_reads_the_newest_ones_only(sqlite_url: str) -> None:
    store, statements = SqlStore(sqlite_url), list[tuple[str, Any]]()
    sa.event.listen(store.engine, "before_cursor_execute", lambda *seen: statements.append((seen[2], seen[3])))
    store.succeeded_since(store.get(store.submit(new_job()).job.id).created_at, model="iris", limit=1)
    sent, values = next(each for each in statements if "coalesce" in each[0])
    with store.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent}", values).fetchall()
    store.close()
    assert "ix_jobs_ended_at_id" in str(plan)
