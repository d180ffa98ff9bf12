"""The schedules of tests/unit/test_simulation.py on real databases, with a simulated clock."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from sqlite3 import Connection

import pytest
import sqlalchemy as sa

from shared.scheduling.limits import Limits
from shared.sql import SqlStore, schema
from shared.sql.tables import metadata
from tests.simulation.machine import Plan, host_settings, run_schedules
from tests.simulation.mutants import GreedySqlStore, UnfencedSqlStore
from tests.simulation.parallel import run_seeds
from tests.simulation.scheduler import BEGINNING, Clock
from tests.simulation.world import LIMITS
from tests.support.length import IS_LONG, rounds

SQLITE_SCHEDULES = rounds(75, long=1250)  # of each seed
POSTGRESQL_SCHEDULES = rounds(15, long=30)
SEEDS = (11, 12, 13, 14)
ENOUGH = 1000
STEPS, STEPS_OF_MANY = 25, 15  # fewer than on fakes: each costs ten times as much


@contextmanager
def database_plan(
    url: str, folder: Path, *, seed: int, steps: int = STEPS, kind: type[SqlStore] = SqlStore
) -> Iterator[Plan]:
    """Schedules on one database, which is emptied for each."""
    clocks: list[Clock] = []

    def now() -> datetime:
        return clocks[-1]() if clocks else BEGINNING

    def empty_store(_limits: Limits, clock: Clock) -> SqlStore:
        clocks.append(clock)
        with store.writing() as transaction:
            for table in reversed(metadata.sorted_tables):
                transaction.execute(sa.delete(table))
        return store

    store = kind(url, limits=LIMITS, clock=now)
    if store.engine.dialect.name == "sqlite":
        sa.event.listen(store.engine, "connect", _do_not_wait_for_the_disk)
    try:
        yield Plan(host_settings(folder, "gpu-1", "gpu-2"), empty_store, seed=seed, steps=steps)
    finally:
        store.close()


def _do_not_wait_for_the_disk(connection: Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def run_seed(folder: Path, seed: int) -> int:
    """On a database of its own."""
    own = folder / str(seed)
    own.mkdir()
    url = f"sqlite:///{own / 'jobs.db'}"
    with closing(SqlStore(url, limits=LIMITS)) as store:
        schema.upgrade(store)
    with database_plan(url, own, seed=seed, steps=STEPS_OF_MANY) as plan:
        run_schedules(plan, SQLITE_SCHEDULES)
        return plan.schedules


@pytest.mark.timeout(1800)
def test_on_sqlite_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    assert run_seeds(partial(run_seed, tmp_path), SEEDS) >= len(SEEDS) * SQLITE_SCHEDULES


@pytest.mark.timeout(1800)
def test_on_postgresql_nothing_is_lost_and_nothing_comes_twice(postgresql_url: str, tmp_path: Path) -> None:
    with database_plan(postgresql_url, tmp_path, seed=21) as plan:
        run_schedules(plan, POSTGRESQL_SCHEDULES)

        assert plan.schedules >= POSTGRESQL_SCHEDULES


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [GreedySqlStore, *([UnfencedSqlStore] if IS_LONG else [])])
def test_a_database_without_one_of_its_safeguards_is_found_out(
    sqlite_url: str, tmp_path: Path, kind: type[SqlStore]
) -> None:
    with database_plan(sqlite_url, tmp_path, seed=1, kind=kind) as plan, pytest.raises(AssertionError):
        run_schedules(plan, ENOUGH, is_shrunk=False)
