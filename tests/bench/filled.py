"""Stores with a million ended jobs. Filling one takes minutes, so each is kept, and migrated like any other."""

from contextlib import ExitStack
from pathlib import Path

from shared.sql import SqlStore, schema
from tests.bench.report import ROOT
from tests.scale.databases import vacuum
from tests.scale.history import History
from tests.support.servers.postgres import PostgresServer

KEPT = ROOT / "build" / "bench"
VOLUME = "retrain-bench-{}-jobs"  # of the engine: the data of a PostgreSQL server belongs to a user of its own


def fill(folder: Path, jobs: int) -> None:
    """Have an SQLite store with so many ended jobs there."""
    if (folder / "filled").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
    schema.upgrade(store)
    History(store).fill_ended(jobs)
    store.close()
    (folder / "filled").touch()


def filled_database(server: PostgresServer, jobs: int) -> str:
    """Have a database with so many ended jobs on that server; its URL."""
    name = f"with_{jobs}_jobs"
    if not server.has_database(name):
        filling = server.create_database(migrated=False)
        with ExitStack() as undo:
            undo.callback(server.drop_database, filling)
            store = SqlStore(server.url(filling))
            schema.upgrade(store)
            History(store).fill_ended(jobs)
            vacuum(store)
            store.close()
            server.rename_database(filling, name)
            undo.pop_all()  # it is whole
    store = SqlStore(server.url(name))
    schema.upgrade(store)
    store.close()
    return server.url(name)
