"""Lists by any filters hold the same jobs however they are looked up, and are read from an index in their order."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
import sqlalchemy as sa

from shared.jobs.model import Job, JobState, NewJob
from shared.jobs.records import Cursor, JobFilter
from shared.sql import SqlStore, reading
from tests.support.jobs import WAITED_TOO_LONG, new_job, submit

FILTERS: dict[str, dict[str, Any]] = {
    "state": {"states": frozenset({JobState.CANCELLED})},
    "states": {"states": frozenset({JobState.CANCELLED, JobState.QUEUED})},
    "model": {"model_name": "model 1"},
    "experiment": {"experiment_name": "experiment 1"},
    "caller": {"submitted_by": "caller-1"},
    "team": {"team": "vision"},
    "label": {"label": ("team", "1")},
    "label's name": {"label": ("team", None)},
    "time": {"created_after": None},
}
PAIRS = [(name,) for name in FILTERS] + [
    pair for pair in combinations(FILTERS, 2) if FILTERS[pair[0]].keys() != FILTERS[pair[1]].keys()
]
JOBS = 48
ALL = JobFilter()


def _a_job(number: int) -> NewJob:
    names = {"experiment_name": f"experiment {number % 3}", "model_name": f"model {number // 2 % 2}"}
    makers = {"submitted_by": f"caller-{number % 5 // 2}", "team": "vision" if number % 3 else None}
    return new_job(**names, **makers, labels={"team": str(number % 4 // 2)} if number % 5 else {})


def _matches(job: Job, where: JobFilter) -> bool:
    name, value = where.label or ("", None)
    return (
        (where.states is None or job.state in where.states)
        and where.model_name in (None, job.model_name)
        and where.experiment_name in (None, job.experiment_name)
        and where.submitted_by in (None, job.submitted_by)
        and where.team in (None, job.team)
        and (not name or (name in job.labels and value in (None, job.labels[name])))
        and (where.created_after is None or job.created_at > where.created_after)
    )


def _pages(store: SqlStore, where: JobFilter) -> Sequence[str]:
    found: list[str] = []
    after: Cursor | None = None
    while page := store.list(where, limit=4, after=after):
        found += [job.id for job in page]
        after = Cursor(page[-1].created_at, page[-1].id)
    return found


@pytest.mark.parametrize("few", [reading.FEW, 0])
def test_each_filter_and_each_two_find_what_a_look_at_every_job_finds(
    sql_store: SqlStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(reading, "FEW", few)
    for number in range(JOBS):
        job_id = sql_store.submit(_a_job(number)).job.id
        if number % 7 < 3:
            sql_store.cancel(job_id, force=False)
        elif number % 7 == 3:
            sql_store.fail_unsupervised(job_id, WAITED_TOO_LONG)
    everything = sql_store.list(ALL, limit=JOBS)
    middle = everything[JOBS // 2].created_at
    for names in PAIRS:
        fields = {field: value for name in names for field, value in FILTERS[name].items()}
        where = JobFilter(**{**fields, **({"created_after": middle} if "time" in names else {})})
        wanted = [job.id for job in everything if _matches(job, where)]
        assert _pages(sql_store, where) == wanted, names
        assert 0 < len(wanted) < JOBS, names


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (("state",), "ix_jobs_state_created_at_id"),
        (("states",), "ix_jobs_state_created_at_id"),
        (("state", "model"), "ix_jobs_model_name_state_created_at_id"),
        (("state", "experiment"), "ix_jobs_experiment_name_state_created_at_id"),
        (("team",), "ix_jobs_team_created_at_id"),
        (("state", "team"), "ix_jobs_team_state_created_at_id"),
        (("states", "team"), "ix_jobs_team_state_created_at_id"),
        (("caller",), "ix_jobs_submitted_by_created_at_id"),
        (("state", "caller"), "ix_jobs_submitted_by_state_created_at_id"),
        (("label",), "ix_labels_name_value_created_at_job_id"),
        (("label's name",), "ix_labels_name_created_at_job_id"),
        (("state", "label"), "ix_labels_name_value_state_created_at_job_id"),
        (("states", "label's name"), "ix_labels_name_state_created_at_job_id"),
    ],
)
def test_a_list_is_read_from_the_index_that_has_it_in_order(
    sql_store: SqlStore, names: tuple[str, ...], index: str
) -> None:
    fields = {field: value for name in names for field, value in FILTERS[name].items()}
    plan = _plan(sql_store, JobFilter(**fields))
    assert index in plan
    assert "SCAN jobs" not in plan
    assert "SCAN labels" not in plan


def test_a_short_id_is_looked_up_in_a_range_of_the_ids(sql_store: SqlStore) -> None:
    job_id = submit(sql_store)
    where = JobFilter(id_start=job_id[:8])
    assert [job.id for job in sql_store.list(where, limit=2)] == [job_id]
    if sql_store.engine.dialect.name == "sqlite":
        assert "(id>? AND id<?)" in _plan(sql_store, where)


def _plan(store: SqlStore, where: JobFilter) -> str:
    """The database's plan for the list's one big statement, where it may not fall back on small tables' scans."""
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _is_many: bool) -> None:
        asked.append((statement, values))

    store.list(where, limit=50)
    [page] = [each for each in asked if "LIMIT" in each[0] and "ORDER BY" in each[0]]
    is_sqlite = store.engine.dialect.name == "sqlite"
    with store.engine.connect() as connection:
        for switch in () if is_sqlite else ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            connection.exec_driver_sql(f"SET LOCAL {switch} = off")
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        return str(connection.exec_driver_sql(f"{explain} {page[0]}", page[1]).all())
