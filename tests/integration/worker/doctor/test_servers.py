"""The doctor names each misconfiguration of Redis, database and MLflow, and says what to do."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import HostNameTaken
from shared.scheduling.hosts import Machine
from shared.sql import SqlStore
from tests.integration.worker.doctor.conftest import MakeSettings, assert_named
from tests.support.jobs import a_host
from tests.support.network.cutting_relay import CuttingRelay
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.valkey import Valkey
from worker.doctor.database import check_database
from worker.doctor.own_settings import as_make_up_has_it
from worker.doctor.redis_server import check_redis
from worker.doctor.tracking_server import check_tracking
from worker.findings.finding import State
from worker.host.machine import this_machine


@pytest.mark.parametrize(
    ("name", "value", "subject", "seen"),
    [
        ("appendonly", "no", "Redis appendonly", "no"),
        ("maxmemory-policy", "allkeys-lru", "Redis eviction", "allkeys-lru"),
        ("requirepass", "hunter2", "Redis", "refuses our password"),
    ],
)
def test_a_redis_that_is_set_up_wrongly_is_named(
    valkey: Valkey, settings: MakeSettings, name: str, value: str, subject: str, seen: str
) -> None:
    with valkey.client() as client:
        client.config_set(name, value)
    advice = "REDIS_URL" if name == "requirepass" else f"{name} {value}".split()[0]
    assert_named(check_redis(settings(redis_url=valkey.url)), subject, seen=seen, advice=advice)


@pytest.mark.parametrize(
    ("name", "value", "subject", "right"),
    [
        ("appendfsync", "everysec", "Redis appendfsync", "always"),
        ("maxmemory-policy", "volatile-lru", "Redis eviction", "noeviction"),
    ],
)
def test_a_redis_that_may_lose_a_little_is_warned_of(
    valkey: Valkey, settings: MakeSettings, name: str, value: str, subject: str, right: str
) -> None:
    with valkey.client() as client:
        client.config_set(name, value)
    found = check_redis(settings(redis_url=valkey.url))
    assert_named(found, subject, seen=value, advice=f"CONFIG SET {name} {right}", state=State.WARNING)


def test_a_replica_that_takes_no_writes_is_named(valkey: Valkey, settings: MakeSettings) -> None:
    with valkey.client() as client:
        client.replicaof("127.0.0.1", "1")
    assert_named(check_redis(settings(redis_url=valkey.url)), "Redis writes", seen="read only", advice="primary")


def test_the_password_of_make_up_is_taken_from_its_data(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: MakeSettings
) -> None:
    with valkey.client() as client:
        client.config_set("requirepass", "hunter2")
    (tmp_path / "redis-password").write_text("hunter2")
    monkeypatch.setenv("REDIS_PORT", str(valkey.port))
    monkeypatch.delenv("REDIS_URL", raising=False)
    found = check_redis(as_make_up_has_it(settings()))
    assert {each.state for each in found} == {State.OK}


@pytest.mark.parametrize(
    ("version", "seen", "advice"),
    [("0001", "needs", "make migrate"), ("9999", "newer than this program", "Start the newer program")],
)
def test_a_schema_of_another_version_is_named(
    sqlite_url: str, settings: MakeSettings, version: str, seen: str, advice: str
) -> None:
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    connection.close()
    found = check_database(settings(database_url=sqlite_url))
    assert_named(found, "database schema", seen=seen, advice=advice)


def test_a_machine_that_asks_for_this_hosts_name_is_named(sqlite_url: str, settings: MakeSettings) -> None:
    ours = settings(database_url=sqlite_url, worker_host="gpu-1")
    clone = a_host("gpu-1", machine=Machine("clone", says="the clone"))
    with closing(SqlStore(sqlite_url)) as store:
        store.beat(clone, gap_seconds=60)
        assert_named(
            check_database(ours), "host name", seen="in use by a live worker on the clone", advice="WORKER_HOST"
        )
        store.leave("gpu-1")
        store.beat(replace(clone, machine=this_machine(ours)), gap_seconds=60)
        assert [found.state for found in check_database(ours) if found.subject == "host name"] == [State.OK]
        with pytest.raises(HostNameTaken):
            store.beat(clone, gap_seconds=60)
    assert_named(
        check_database(ours), "host name", seen="also asked for by a worker on the clone", advice="WORKER_HOST"
    )


def test_a_database_that_is_not_made_yet_is_named_and_not_made(settings: MakeSettings, tmp_path: Path) -> None:
    assert_named(check_database(settings()), "database", seen="none at", advice="make migrate")
    assert not (tmp_path / "jobs.db").exists()


def test_a_wrong_password_of_the_database_is_named(postgres_server: PostgresServer, settings: MakeSettings) -> None:
    url = postgres_server.url("migrated").replace(postgres_server.password, "hunter2")
    found = check_database(settings(database_url=url))
    assert_named(found, "database", seen="password authentication failed", advice="DATABASE_URL")


def test_an_mlflow_that_does_not_know_its_own_name_is_told_it(mlflow: MlflowServer, settings: MakeSettings) -> None:
    with CuttingRelay(mlflow.port) as relay:
        found = list(check_tracking(settings(mlflow_tracking_uri=f"http://127.0.0.1:{relay.port}")))
    host = f"127.0.0.1:{relay.port}"
    assert_named(found, "MLflow", seen="answers 403", advice=f"{host} among its --allowed-hosts")


def test_a_storage_of_artifacts_that_cannot_be_written_is_named(mlflow: MlflowServer, settings: MakeSettings) -> None:
    folder = mlflow.folder / "artifacts"
    kept = folder.rename(mlflow.folder / "kept") if folder.exists() else None
    folder.write_text("no folder")
    try:
        found = list(check_tracking(settings(mlflow_tracking_uri=mlflow.url)))
    finally:
        folder.unlink()
        if kept:
            kept.rename(folder)
    assert_named(found, "MLflow artifacts", seen="HTTP 500", advice="--artifacts-destination")
