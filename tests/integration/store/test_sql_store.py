"""What only a database has: connections that break, locks, other processes, a clock of its own."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from shared.errors import ConfigurationError, StoreUnavailable
from shared.jobs.model import JobState
from shared.jobs.records import Claim
from shared.scheduling.limits import Limits
from shared.sql import SqlStore, engine
from tests.fakes.store import MemoryStore
from tests.support.clocks import HeldClock
from tests.support.jobs import (
    HOST,
    a_host,
    claim,
    new_job,
    running,
    submit,
    try_claim,
)
from tests.support.servers.postgres import PostgresServer
from tests.support.stores import fresh_database
from tests.support.threads import at_once
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
SHIFTED_CLOCK = """
CREATE SCHEMA shifted;
CREATE TABLE shifted.clock AS SELECT interval '1 day' AS ahead;
CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + (SELECT ahead FROM shifted.clock)';
"""


def test_the_memory_twin_goes_by_the_clock_that_it_is_given() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    store = MemoryStore(clock=lambda: now)
    held = running(store)
    assert held.job.created_at == now
    now += timedelta(days=1)
    assert store.find_orphans(host=HOST) == [held.job.id]


def test_a_network_that_is_cut_is_noticed_within_ten_seconds(postgresql_url: str) -> None:
    store = SqlStore(postgresql_url)
    with store.reading() as transaction:
        driver = transaction.connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as connection:
            unanswered = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            idle, every, count = (
                connection.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    store.close()
    assert 0 < unanswered <= 10_000
    assert idle + every * count <= 10


def _pid(store: SqlStore) -> int:
    """The process that serves the store's only connection."""
    with store.looking() as transaction:
        return int(transaction.execute(sa.select(sa.func.pg_backend_pid())).scalar_one())


def test_a_connection_that_broke_while_nobody_used_it_is_replaced(
    postgresql_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(postgresql_url)
    job_id, pid = submit(store), _pid(store)
    monkeypatch.setattr(engine, "PING_AFTER_SECONDS", 0)
    postgres_server.end_connection(pid)
    assert store.get(job_id).state is JobState.QUEUED
    assert _pid(store) != pid
    store.close()


def test_a_connection_that_was_just_used_is_not_asked_whether_it_works(
    postgresql_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqlStore(postgresql_url)
    job_id, pid = submit(store), _pid(store)
    monkeypatch.setattr(engine, "PING_AFTER_SECONDS", 600)
    postgres_server.end_connection(pid)
    with pytest.raises(StoreUnavailable):
        store.get(job_id)
    assert store.get(job_id).state is JobState.QUEUED
    store.close()


def test_a_look_at_a_jobs_version_is_one_statement_without_a_transaction_around_it(sql_url: str) -> None:
    store = SqlStore(sql_url)
    job_id, statements = submit(store), []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert store.get_version(job_id) == (1, JobState.QUEUED)
    assert [statement.split()[0] for statement in statements] == ["SELECT"]
    with store.looking() as transaction:
        held: Any = transaction.connection.connection.driver_connection
        transaction.all(sa.select(sa.literal(1)))
        is_within = held.in_transaction if store.engine.dialect.name == "sqlite" else not held.autocommit
    assert not is_within
    store.close()


def test_the_locks_of_a_client_that_fell_silent_are_given_up(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STATEMENT_SECONDS", 1)
    store, other = SqlStore(postgresql_url), SqlStore(postgresql_url)
    job_id = submit(store)
    with pytest.raises(StoreUnavailable):
        _lock_and_fall_silent(store, lambda: claim(other, job_id))  # waits for the lock, and gets it
    assert other.get(job_id).state is JobState.STARTING
    for one in (store, other):
        one.close()


def _lock_and_fall_silent(store: SqlStore, meanwhile: Callable[[], object]) -> None:
    with store.writing() as transaction:
        transaction.execute(sa.text("SELECT 1 FROM jobs FOR UPDATE"))
        meanwhile()
        transaction.execute(sa.text("UPDATE jobs SET state = 'cancelled'"))


def test_a_simulation_brings_its_own_clock(sql_url: str) -> None:
    clock = HeldClock()
    store = SqlStore(sql_url, clock=clock)
    held = running(store)
    assert held.job.created_at == clock.now
    clock.pass_seconds(86400)
    assert store.find_orphans(host=HOST) == [held.job.id]
    assert claim(store, held.job.id).job.transitions[-1].at == clock.now
    store.close()


def test_many_processes_stores_keep_every_limit(sql_url: str) -> None:
    limits = Limits(per_key=3, total=6)
    stores = [SqlStore(sql_url, limits=limits) for _ in range(4)]
    hosts = [a_host(f"host-{number}", slots=3, gpus=("0", "1")) for number in range(3)]
    jobs = [submit(stores[0], concurrency_key=f"key {n % 4}", gpus=n % 3) for n in range(24)]

    def claim_many(number: int) -> list[Claim]:
        order = jobs[number:] + jobs[:number]
        tries = (try_claim(stores[number % 4], job_id, host=hosts[number % 3]) for job_id in order)
        return [one for one in tries if one]

    taken = [one for claims in at_once(12, claim_many) for one in claims]
    devices = Counter((one.attempt.host, device) for one in taken for device in one.attempt.gpu_ids)
    assert len({one.job.id for one in taken}) == len(taken) == 6
    assert max(Counter(one.job.concurrency_key for one in taken).values()) <= 3
    assert max(Counter(one.attempt.host for one in taken).values()) <= 3
    assert set(devices.values()) <= {1}
    for store in stores:
        store.close()


def test_a_wrong_password_is_not_repeated(postgresql_url: str) -> None:
    store = SqlStore(sa.make_url(postgresql_url).set(password="wrong-hunter2").render_as_string(hide_password=False))
    with pytest.raises(StoreUnavailable) as caught:
        store.ping()
    assert "hunter2" not in str(caught.value)
    assert "password authentication failed" in caught.value.message
    store.close()


def test_times_and_leases_go_by_the_databases_clock(postgres_server: PostgresServer) -> None:
    with fresh_database(postgres_server) as url:
        plain = url.replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute(SHIFTED_CLOCK)
            name = sa.make_url(url).database
            admin.execute(f"ALTER DATABASE {name} SET search_path = shifted, pg_catalog, public")
        store = SqlStore(url)
        held = running(store)
        assert held.job.created_at - datetime.now(UTC) > timedelta(hours=23)
        assert try_claim(store, held.job.id) is None
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute("UPDATE shifted.clock SET ahead = interval '2 days'")
        assert store.find_orphans(host=HOST) == [held.job.id]
        assert claim(store, held.job.id).token == held.token + 1
        store.close()


def test_many_processes_stores_give_one_claim_and_keep_a_keys_limit(sql_url: str) -> None:
    stores = [SqlStore(sql_url) for _ in range(4)]
    jobs = [submit(stores[0], concurrency_key="model:iris") for _ in range(3)]
    taken = at_once(12, lambda n: try_claim(stores[n % 4], jobs[n % 3], host=f"host-{n}"))
    assert len([one for one in taken if one]) == 1
    for store in stores:
        store.close()


def test_what_was_accepted_is_there_after_a_restart(sql_url: str) -> None:
    first = SqlStore(sql_url)
    job_id = first.submit(new_job(labels={"team": "vision"}), idempotency_key="k", payload_hash="h").job.id
    first.close()
    second = SqlStore(sql_url)
    assert second.submit(new_job(), idempotency_key="k", payload_hash="h").job.id == job_id
    second.close()


def test_what_breaks_a_rule_of_the_database_is_told_without_the_values(sql_store: SqlStore) -> None:
    new = new_job(secret=b"sealed-credentials")
    sql_store.submit(new)
    with pytest.raises(sa.exc.IntegrityError) as caught:
        sql_store.submit(new)
    assert "sealed-credentials" not in str(caught.value)


def test_sqlite_keeps_a_commit_through_a_power_cut(sqlite_url: str) -> None:
    store = SqlStore(sqlite_url)
    with store.reading() as transaction:
        names = ("journal_mode", "synchronous", "foreign_keys")
        found = [transaction.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in names]
    assert found == ["wal", 2, 1]
    store.close()


def test_a_connection_to_sqlite_keeps_little_and_is_the_next_one_that_is_used(sqlite_url: str) -> None:
    store = SqlStore(sqlite_url)
    with store.reading() as first, store.reading() as last:
        assert first.execute(sa.text("PRAGMA cache_size")).scalar_one() == -engine.PAGES_KB
        connections = [transaction.connection.connection.dbapi_connection for transaction in (last, first)]
    with store.reading() as next_one:
        assert next_one.connection.connection.dbapi_connection is connections[1]
    assert connections[0] is not connections[1]
    store.close()


def test_sqlite_makes_no_temporary_files(sqlite_url: str, tmp_path: Path) -> None:
    """What undoes a job's INSERT, with all its indexes, took one, which stayed after a kill at the wrong moment."""
    SqlStore(sqlite_url).close()
    folder = tmp_path / "temporary"
    folder.mkdir()
    before = folder.stat().st_mtime_ns  # of the folder: SQLite unlinks the file at once
    submit_one = (
        f"from shared.sql import SqlStore; from tests.support.jobs import submit; submit(SqlStore({sqlite_url!r}))"
    )
    environment = {**os.environ, "SQLITE_TMPDIR": str(folder)}  # which SQLite reads when it is loaded
    subprocess.run([sys.executable, "-c", submit_one], cwd=ROOT, env=environment, check=True, timeout=60)
    assert folder.stat().st_mtime_ns == before


def test_connections_to_sqlite_beyond_those_that_are_kept_are_closed_after_use(sqlite_url: str) -> None:
    store = SqlStore(sqlite_url, kept=1)
    with store.reading() as first, store.reading() as last:
        given_back_last, kept = (each.connection.connection.driver_connection for each in (first, last))
        assert given_back_last is not None
        assert kept is not None
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        given_back_last.execute("SELECT 1")
    kept.execute("SELECT 1")
    store.close()


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'deep' / 'down' / 'jobs.db'}")
    assert (tmp_path / "deep" / "down").is_dir()
    store.close()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("no url with hunter2", "not the address of a database"),
        ("mysql://user:hunter2@host/db", "mysql"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_url_that_we_cannot_serve_stops_the_start_without_repeating_it(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as caught:
        SqlStore(url)
    assert what in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_postgresql_url_is_served_by_the_driver_that_we_ship_whatever_it_names(postgresql_url: str) -> None:
    for scheme in ("postgresql", "postgresql+psycopg2"):
        store = SqlStore(postgresql_url.replace("postgresql+psycopg", scheme))
        store.ping()
        store.close()


def test_signs_of_life_are_one_row_a_host(sql_store: SqlStore) -> None:
    for _ in range(3):
        sql_store.beat(a_host(), gap_seconds=60)
    with sql_store.reading() as transaction:
        assert transaction.execute(sa.text("SELECT count(*) FROM workers")).scalar_one() == 1
    wait_until(lambda: sql_store.live_workers(within_seconds=60) == 1)


def test_many_that_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    for number in range(20):  # about one round in eight failed while SQLite's own wait was trusted
        databases = [engine.Database(f"sqlite:///{tmp_path / str(number)}.db") for _ in range(8)]
        at_once(8, lambda n, those=databases: _write_something(those[n]))  # type: ignore[misc]
        for database in databases:
            database.close()


def _write_something(database: engine.Database) -> None:
    with database.writing() as transaction:
        transaction.execute(sa.text("CREATE TABLE IF NOT EXISTS something (id INTEGER)"))
