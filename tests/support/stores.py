"""The three job stores that one contract holds for, each empty for each test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pytest

from shared.alerts.model import Alerting
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from shared.sql import SqlStore, engine
from shared.sql.engine import Database
from shared.sql.schema import upgrade
from tests.fakes.store import MemoryStore
from tests.support.servers.postgres import PostgresServer

SQL = ("sqlite", "postgresql")
PATIENCE_SECONDS = 30  # for a lock or a turn to write: a slow machine needs more than what workers wait, who ask again
LIMITS = Limits()
NO_ALERTS = Alerting()
Clock = Callable[[], datetime]


class MakeStore(Protocol):
    """Makes the test's store."""

    def __call__(
        self,
        *,
        limits: Limits = LIMITS,
        alerting: Alerting = NO_ALERTS,
        teams_isolated: bool = False,
        clock: Clock | None = None,
    ) -> JobStore: ...


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file that tests' databases are copies of."""
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    database = Database(f"sqlite:///{file}")
    upgrade(database)
    database.close()
    return file


@contextmanager
def fresh_database(server: PostgresServer, *, migrated: bool = True) -> Iterator[str]:
    """The URL of a database that is dropped at the end."""
    name = server.create_database(migrated=migrated)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A migrated SQLite file."""
    file = tmp_path / "jobs.db"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated PostgreSQL database."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(params=SQL)
def sql_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=SQL)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres_server"), migrated=False) as url:
        yield url


@pytest.fixture(params=("memory", *SQL))
def make_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStore]:
    """Makes a store of each kind, which lets a crowd wait for its turn; what it made is closed at the end."""
    monkeypatch.setattr(engine, "WAIT_SECONDS", PATIENCE_SECONDS)
    with ExitStack() as stack:

        def make(
            *,
            limits: Limits = LIMITS,
            alerting: Alerting = NO_ALERTS,
            teams_isolated: bool = False,
            clock: Clock | None = None,
        ) -> JobStore:
            if request.param == "memory":
                return MemoryStore(limits=limits, alerting=alerting, teams_isolated=teams_isolated, clock=clock)
            url = request.getfixturevalue(f"{request.param}_url")
            store = SqlStore(url, limits=limits, alerting=alerting, teams_isolated=teams_isolated, clock=clock)
            stack.callback(store.close)
            return store

        if request.param != "memory":
            request.getfixturevalue(f"{request.param}_url")  # now, so that it is torn down after the store is closed
        yield make


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    """A store of each kind that lets one job of each concurrency_key run."""
    return make_store()


@pytest.fixture
def sql_store(sql_url: str) -> Iterator[SqlStore]:
    """A store on a database of each kind."""
    store = SqlStore(sql_url)
    yield store
    store.close()
