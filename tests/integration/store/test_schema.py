"""The migrations make the tables that the code was written for, on both databases, whoever runs them and how often."""

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shared.errors import ConfigurationError, StoreUnavailable
from shared.sql import SqlStore, schema
from shared.sql.access.tables import model_teams
from shared.sql.engine import Database
from shared.sql.migrations.partial_indexes import metadata
from tests.support.jobs import submit
from tests.support.threads import at_once

VERSIONS = Path(schema.__file__).with_name("migrations") / "versions"
LATEST = max(each.name for each in VERSIONS.rglob("*.py")).partition("_")[0]
NEXT = f"{int(LATEST) + 1:04}"
NEXT_MIGRATION = f"""
from alembic import op
import sqlalchemy as sa
revision, down_revision = "{NEXT}", "{LATEST}"

def upgrade() -> None:
    op.add_column("jobs", sa.Column("note", sa.Text(), nullable=True))
"""


OLD_VERSION = "0001"
LONG_SECONDS = 86400.0  # the database may take a time without a zone for its own
# As workers of that version write, before and after the upgrade.
OLD_JOB = """
INSERT INTO jobs (id, state, version, experiment_name, queue, priority, concurrency_key, request, secret, attempt,
    lease_token, cancel_forced, created_at, queued_at)
VALUES (:id, 'queued', 1, 'iris', 'default', 4, :id, '{}', :secret, 0, 0, false, :at, :at)
"""
OLD_BEAT = """
INSERT INTO workers (host, slots, queues, runner, seen_at) VALUES (:id, 2, '["default"]', 'docker', :at)
"""
OLD_ATTEMPT = """
INSERT INTO attempts (job_id, number, host, oom_killed, log_size, log_source_offset, started_at)
VALUES (:id, 1, 'gpu-1', false, 0, 0, :at)
"""


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A database without tables."""
    database = Database(empty_url)
    yield database
    database.close()


@pytest.fixture
def next_version(sql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's next version, which has one migration more than the database at ``sql_url``, made before."""
    assert sql_url
    folder = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, folder)
    (folder / "versions" / f"{NEXT}_a_note.py").write_text(NEXT_MIGRATION)
    monkeypatch.setattr(schema, "MIGRATIONS", folder)


def _differences(database: Database) -> object:
    with database.reading() as transaction:
        context = MigrationContext.configure(
            transaction.connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return compare_metadata(context, metadata)


def test_the_migrations_make_the_tables_that_the_code_was_written_for(empty: Database) -> None:
    schema.upgrade(empty)
    assert _differences(empty) == []
    schema.check(empty)


@pytest.mark.parametrize("index", ["ix_jobs_host_state_created_at_id", "ix_jobs_waiting_by_queue"])
def test_the_comparison_sees_what_is_missing(empty: Database, index: str) -> None:
    schema.upgrade(empty)
    with empty.writing() as transaction:
        transaction.execute(sa.text(f"DROP INDEX {index}"))
    assert _differences(empty)


def test_upgrading_again_changes_nothing(empty: Database) -> None:
    schema.upgrade(empty)
    schema.upgrade(empty)
    schema.check(empty)


def test_four_that_upgrade_at_once_do_it_one_after_the_other(empty_url: str) -> None:
    databases = [Database(empty_url) for _ in range(4)]
    at_once(4, lambda number: schema.upgrade(databases[number]))
    schema.check(databases[0])
    for database in databases:
        database.close()


def _write_as_before(database: Database, job_id: str, *, secret: bytes | None) -> None:
    with database.writing() as transaction:
        at: sa.BindParameter[datetime] = sa.bindparam("at", transaction.now.replace(tzinfo=None))
        for statement in (OLD_JOB, OLD_BEAT, OLD_ATTEMPT):
            names = {"id": job_id, "secret": secret}
            values = {name: value for name, value in names.items() if f":{name}" in statement}
            transaction.execute(sa.text(statement).bindparams(at, **values))


def test_workers_of_an_older_version_go_on_writing_while_and_after_the_schema_is_upgraded(empty: Database) -> None:
    with empty.writing() as transaction:
        schema.migrate(transaction, OLD_VERSION)
    _write_as_before(empty, "before", secret=b"sealed")
    schema.upgrade(empty)
    _write_as_before(empty, "after", secret=None)
    store = SqlStore(empty.engine.url.render_as_string(hide_password=False))
    read = [store.get(job_id) for job_id in ("before", "after")]
    assert [(job.gpus, job.retry_of, job.had_secret) for job in read] == [(0, None, True), (0, None, False)]
    assert [job.request_id for job in read] == [None, None]
    assert [job.attempt.gpu_ids for job in read] == [(), ()]
    assert store.live_workers(within_seconds=LONG_SECONDS) == 2
    store.close()


def test_a_model_from_before_there_were_teams_is_no_teams_after_the_upgrade(empty: Database) -> None:
    with empty.writing() as transaction:
        schema.migrate(transaction, OLD_VERSION)
    _write_as_before(empty, "before", secret=None)
    with empty.writing() as transaction:
        schema.migrate(transaction, "0021")
        transaction.execute(sa.text("UPDATE jobs SET model_name = 'iris'"))
    schema.upgrade(empty)
    with empty.reading() as transaction:
        assert [*map(tuple, transaction.all(sa.select(model_teams.c.model, model_teams.c.team)))] == [("iris", None)]


@pytest.mark.usefixtures("next_version")
def test_an_upgrade_keeps_the_jobs(sql_url: str) -> None:
    store = SqlStore(sql_url)
    job_id = submit(store)
    schema.upgrade(store)
    schema.check(store)
    assert store.get(job_id).id == job_id
    store.close()


def test_a_missing_schema_names_the_command_that_makes_it(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match=rf"missing, and {LATEST} is needed. Run: python -m shared.sql.schema"):
        schema.check(empty)


@pytest.mark.usefixtures("next_version")
def test_an_old_schema_names_both_versions_and_the_command(sql_url: str) -> None:
    database = Database(sql_url)
    advice = rf"is {LATEST}, and {NEXT} is needed. Run: python -m shared.sql.schema"
    with pytest.raises(ConfigurationError, match=advice):
        schema.check(database)
    database.close()


def test_a_newer_schema_asks_for_the_newer_program(sql_url: str) -> None:
    database = Database(sql_url)
    with database.writing() as transaction:
        transaction.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=r"9999\) is newer than this program") as caught:
        schema.check(database)
    assert caught.value.facts == {"current": "9999"}
    database.close()


def test_the_store_says_its_schema_s_revision_also_after_a_newer_program_has_raised_it(sql_url: str) -> None:
    store = SqlStore(sql_url)
    assert store.schema_revision() == LATEST
    with store.writing() as transaction:
        transaction.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert store.schema_revision() == "9999"
    store.close()


def test_a_newer_schema_is_not_upgraded_by_an_older_program(sql_url: str) -> None:
    database = Database(sql_url)
    with database.writing() as transaction:
        transaction.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="newer than this program"):
        schema.upgrade(database)
    database.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty: Database) -> None:
    with empty.writing() as transaction:
        transaction.execute(sa.text("CREATE TABLE transitions (id INTEGER)"))  # in the way of the last table
    with pytest.raises((sa.exc.SQLAlchemyError, StoreUnavailable), match="transitions"):
        schema.upgrade(empty)
    with empty.reading() as transaction:
        assert set(sa.inspect(transaction.connection).get_table_names()) <= {"transitions", "alembic_version"}


def test_the_command_makes_the_configured_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert schema.main([]) == 0
    with sqlite3.connect(tmp_path / "data" / "jobs.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(LATEST,)]
    connection.close()


def test_the_command_says_what_is_wrong_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "mysql://user:hunter2@host/db")
    assert schema.main([]) == 1
    said = capsys.readouterr().err
    assert "DATABASE_URL" in said
    assert "hunter2" not in said
