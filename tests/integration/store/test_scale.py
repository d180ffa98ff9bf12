"""The simulator behind docs/scaling.md, on each database: what it fills in is history, and nothing is claimed twice."""

from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shared.jobs.model import SUPERVISED, JobState
from shared.jobs.records import JobFilter
from shared.sql import SqlStore
from shared.sql.tables import attempts
from tests.scale.databases import open_database
from tests.scale.fleet import Fleet, PretendedHost
from tests.scale.history import ORIGINALS, History, a_job
from tests.scale.load import Cell, Load, titles
from tests.support.jobs import a_host

HOSTS, SLOTS, QUEUED, ROUNDS = 4, 2, 20, 3
ENDED = 2 * ORIGINALS


def _work(host: PretendedHost) -> None:
    host.watch()
    host.work_off(slots=SLOTS)
    host.look_for_alerts()
    host.end_one()


def test_pretended_hosts_work_off_a_queue_behind_a_filled_history(sql_store: SqlStore, tmp_path: Path) -> None:
    history = History(sql_store)
    history.fill_ended(ENDED)
    history.fill_queued(QUEUED)
    fleet = Fleet(sql_store, tmp_path, slots=SLOTS, clients=3)
    fleet.resize(HOSTS)
    late = fleet.store.submit(a_job(QUEUED + ENDED)).job
    fleet.messages.send(late)
    fleet.all_do(fleet.hosts * ROUNDS, _work)
    assert not fleet.timings.failures
    assert len(fleet.claims) == len(set(fleet.claims)) == len(fleet.timings.seconds["started"])
    assert (late.id, 1) in fleet.claims
    left = Counter(job.state for job in sql_store.list(JobFilter(), limit=1000))
    busy = sum(left[state] for state in SUPERVISED)
    assert busy == sum(len(host.running) for host in fleet.hosts) <= HOSTS * SLOTS
    assert left[JobState.SUCCEEDED] == ENDED * 7 // 10 + len(fleet.claims) - busy
    assert left[JobState.QUEUED] == QUEUED + 1 - len(fleet.claims)
    assert left.total() == ENDED + QUEUED + 1


def test_copied_jobs_are_complete_and_lie_in_the_past(sql_store: SqlStore) -> None:
    History(sql_store).fill_ended(ENDED)
    oldest = sql_store.list(JobFilter(states=frozenset({JobState.FAILED})), limit=ENDED)[-1]
    newest = sql_store.list(JobFilter(), limit=1)[0]
    job = sql_store.get(oldest.id)
    assert (newest.created_at - job.created_at).total_seconds() > 1000
    assert [change.to_state for change in job.transitions] == ["queued", "starting", "running", "failed"]
    assert job.attempt.exit_code == 1
    assert job.attempt.log_size == len(sql_store.read_log(job.id, attempt=1, offset=0, limit=10_000).data)
    assert job.labels
    with sql_store.reading() as transaction:
        tries = transaction.execute(sa.select(sa.func.count()).select_from(attempts)).scalar_one()
    assert tries == ENDED


def test_the_next_jobs_are_read_in_their_order_without_sorting_the_whole_queue(sql_store: SqlStore) -> None:
    History(sql_store).fill_queued(QUEUED * 50)
    asked: list[tuple[str, Any]] = []
    with sql_store.engine.connect() as connection:
        connection.execute(sa.text("ANALYZE"))
        connection.commit()

    @sa.event.listens_for(sql_store.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _is_many: bool) -> None:
        asked.append((statement, values))

    assert len(sql_store.take_sendable(a_host(slots=1, gpus=("0",)), resend_after_seconds=15)) == 1
    [page] = [each for each in asked if "ORDER BY jobs.priority DESC" in each[0] and "LIMIT" in each[0]]
    explain = "EXPLAIN QUERY PLAN" if sql_store.engine.dialect.name == "sqlite" else "EXPLAIN"
    with sql_store.engine.connect() as connection:
        plan = str(connection.exec_driver_sql(f"{explain} {page[0]}", page[1]).all())
    assert "ix_jobs_waiting" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan


def test_a_row_has_a_cell_for_each_title_and_tells_of_claims_beside_a_backup(tmp_path: Path) -> None:
    with open_database("sqlite") as database:
        line = Load(database, tmp_path, clients=1, turns=4).measure(Cell(ended=ORIGINALS, hosts=1, queued=2))
    cells = dict(zip(titles(), line.strip("| ").split(" | "), strict=True))
    assert float(cells["claimed alone beside a backup, ms"].split(" / ")[0]) > 0
