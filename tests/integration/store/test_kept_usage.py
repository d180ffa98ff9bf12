"""What triggers sum up is what the migration sums up of the same past, whichever version of the program wrote it."""

from dataclasses import replace
from time import perf_counter

import pytest
import sqlalchemy as sa

from shared.jobs.monthly_usage import AttemptOutcome, Sums, UsageBy, UsageFilter, UsageLine
from shared.sql import SqlStore, schema
from shared.sql.engine import Transaction
from shared.sql.reports.tables import monthly_usage
from shared.sql.tables import jobs
from tests.support.clocks import HeldClock
from tests.support.jobs import FAILED, SUCCEEDED, WAITED_TOO_LONG, a_host, claim, running, submit
from tests.support.threads import at_once

ALL = UsageFilter("0001-01", "9999-12", UsageBy.MODEL)
GPUS = ("0", "1")
UNDONE = {
    "sqlite": (
        *("DROP VIEW used", "DROP TRIGGER attempts_are_used", "DROP TRIGGER jobs_have_waited"),
        *("DROP INDEX ix_alerts_at", "DROP INDEX ix_model_alerts_at"),
    ),
    "postgresql": (
        *(f"DROP FUNCTION {name} CASCADE" for name in ("attempts_are_used", "jobs_have_waited", "add_usage")),
        "DROP FUNCTION cpus_of",
    ),
}
OF_BOTH = (
    "DROP TABLE monthly_usage",
    "ALTER TABLE alerts DROP COLUMN cause",
    "ALTER TABLE model_alerts DROP COLUMN cause",
    "UPDATE alembic_version SET version_num = '0023'",
)
# As programs of the version before end an attempt.
OLD_ENDING = """
UPDATE attempts SET ended_at = :at, exit_code = 1, reason_code = 'NONZERO_EXIT', reason_type = 'user_error'
WHERE job_id = :id AND number = 1
"""
LATER = "2030-01-01 00:00:10.000001"  # ten seconds after the beginning


def _as_before(transaction: Transaction) -> None:
    """Take the migration back, so that it meets a past."""
    for statement in (*UNDONE[transaction.connection.dialect.name], *OF_BOTH):
        transaction.execute(sa.text(statement))
    if transaction.connection.dialect.name == "postgresql":
        for table in ("alerts", "model_alerts"):
            transaction.execute(sa.text(f"DROP INDEX ix_{table}_at"))


def _live(store: SqlStore, clock: HeldClock) -> None:
    """Let jobs end in each way, and run at the end."""
    asked = {"experiment_name": "iris", "resources": {"gpus": 1, "cpus": 7.3}}
    for number in range(3):
        job = submit(store, request=asked, gpus=number, team="vision", model_name="iris")
        clock.pass_seconds(1.000001)
        taken = claim(store, job, host=a_host(gpus=GPUS))
        clock.pass_seconds(60 + number / 3)
        store.finish(taken, replace(FAILED, retry_in_seconds=5))
        clock.pass_seconds(9)
        store.wake_retries()
        clock.pass_seconds(2)
        again = claim(store, job, host=a_host(gpus=GPUS))
        clock.pass_seconds(31 * 86400)
        store.finish(again, SUCCEEDED)
    waiting = [submit(store) for _ in range(3)]
    clock.pass_seconds(7)
    store.cancel(waiting[0], force=False)
    store.fail_unsupervised(waiting[1], WAITED_TOO_LONG)
    stopped = running(store)
    store.cancel(stopped.job.id, force=False)
    clock.pass_seconds(3)
    store.finish(stopped, FAILED)
    running(store)


def test_the_migration_finds_in_the_past_what_triggers_would_have_summed_up(sql_url: str) -> None:
    clock = HeldClock()
    store = SqlStore(sql_url, clock=clock)
    _live(store, clock)
    kept = [store.list_usage(replace(ALL, by=each)) for each in UsageBy]
    with store.writing() as transaction:
        _as_before(transaction)
        schema.migrate(transaction, "0024")
    assert [store.list_usage(replace(ALL, by=each)) for each in UsageBy] == kept
    assert {line.outcome for line in kept[0]} == {*AttemptOutcome} - {AttemptOutcome.LOST}
    store.close()


def test_what_a_program_of_the_version_before_ends_is_summed_up_once(sql_url: str) -> None:
    store = SqlStore(sql_url, clock=HeldClock())
    job = running(store).job.id
    zone = "" if sql_url.startswith("sqlite") else "+00"
    for _ in range(2):
        with store.writing() as transaction:
            transaction.execute(sa.text(OLD_ENDING.replace(":at", f"'{LATER}{zone}'")), id=job)
    used = Sums(attempts=1, lasted=10**7 + 1, without_cpus=10**7 + 1)
    assert store.list_usage(ALL) == [UsageLine("", AttemptOutcome.FAILED, used)]
    store.close()


def test_an_attempt_that_ends_waits_for_no_other_that_ends(postgresql_url: str) -> None:
    store = SqlStore(postgresql_url)
    first, second, third = (running(store) for _ in range(3))
    store.finish(first, SUCCEEDED)
    with store.writing() as transaction:
        transaction.execute(sa.select(monthly_usage).with_for_update())  # as one that ends at this moment
        store.finish(second, SUCCEEDED)
        store.finish(third, SUCCEEDED)
    assert sum(line.sums.attempts for line in store.list_usage(ALL)) == 3
    with store.reading() as transaction:
        assert len(transaction.all(sa.select(monthly_usage.c.id))) == 2
    store.close()


def test_the_rows_are_few_however_many_attempts_end(sql_store: SqlStore) -> None:
    at_once(2, lambda _: [sql_store.finish(running(sql_store), SUCCEEDED) for _ in range(10)])
    with sql_store.reading() as transaction:
        assert len(transaction.all(sa.select(monthly_usage.c.id))) <= 2 * 2  # of two months, should it be midnight
        assert transaction.execute(sa.select(sa.func.count()).select_from(jobs)).scalar_one() == 20


@pytest.mark.parametrize("by", UsageBy)
def test_years_of_hundreds_of_models_are_summed_in_no_time(sql_store: SqlStore, by: UsageBy) -> None:
    one = {"outcome": "succeeded", "attempts": 9, "lasted": 1, "gpu": 1, "cpu": 1, "without_cpus": 0, "waited": 1}
    rows = [
        {
            **one,
            "month": f"20{30 + month // 12}-{1 + month % 12:02}",
            "team": "vision",
            "experiment": "e",
            "model": str(m),
        }
        for month in range(36)
        for m in range(300)
    ]
    with sql_store.writing() as transaction:
        transaction.connection.execute(sa.insert(monthly_usage), rows)
    seconds = []
    for _ in range(5):
        begun = perf_counter()
        found = sql_store.list_usage(replace(ALL, by=by))
        seconds.append(perf_counter() - begun)
        assert sum(line.sums.attempts for line in found) == 9 * len(rows)
    assert min(seconds) < 0.5
