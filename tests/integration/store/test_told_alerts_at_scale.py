"""Alerts are told from an index that has them in order, however many there are and whatever is asked for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from shared.alerts.listed import AlertFilter
from shared.alerts.model import AlertEvent, Alerting, AlertState
from shared.sql import SqlStore, reading
from tests.support.jobs import submit

CHANNELS = frozenset({"discord", "webhook"})
EVERYTHING = Alerting(frozenset(AlertEvent), CHANNELS)
TEAMS = ("vision", "vision", "speech", None)
MOST = 100


@pytest.fixture
def outbox(sql_store: SqlStore) -> SqlStore:
    sql_store.alerting = EVERYTHING
    for number in range(12):
        team, model = TEAMS[number % 4], f"model {number % 2}"
        sql_store.cancel(submit(sql_store, team=team, model_name=model), force=False)
    return sql_store


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (AlertFilter(), "ix_alerts_at"),
        (AlertFilter(channel="webhook"), "ix_alerts_channel_at"),
        (AlertFilter(state=AlertState.GIVEN_UP), "ix_alerts_state_at"),
        (AlertFilter(channel="webhook", team="vision"), "ix_alerts_channel_at"),
        (AlertFilter(team="vision"), "ix_alerts_at"),
        (AlertFilter(model="model 1"), "ix_alerts_at"),
    ],
)
def test_the_newest_alerts_are_read_from_the_index_that_has_them_in_order(
    outbox: SqlStore, monkeypatch: pytest.MonkeyPatch, where: AlertFilter, index: str
) -> None:
    monkeypatch.setattr(reading, "FEW", 0)  # a team or a model with many jobs
    with _noted(outbox) as asked:
        outbox.list_alerts(where, limit=50)
    plan = _plan(outbox, asked, "FROM alerts LEFT OUTER JOIN jobs")
    assert index in plan
    assert "ix_jobs" not in plan


def test_the_few_alerts_of_a_small_team_are_found_by_its_jobs(outbox: SqlStore) -> None:
    with _noted(outbox) as asked:
        outbox.list_alerts(AlertFilter(team="speech"), limit=50)
    if outbox.engine.dialect.name == "sqlite":  # PostgreSQL decides by what it has counted
        assert "ix_jobs_team" in _plan(outbox, asked, "FROM alerts JOIN jobs")


def test_who_sends_still_finds_what_is_due_by_its_own_index(outbox: SqlStore) -> None:
    with _noted(outbox) as asked:
        assert outbox.take_alert(CHANNELS, lease_seconds=60)
    assert "ix_alerts_state_due_at" in _plan(outbox, asked, "FROM alerts \nWHERE", ordered="alerts.due_at")


@pytest.mark.parametrize("few", [reading.FEW, 0])
@pytest.mark.parametrize(
    ("where", "number"),
    [
        (AlertFilter(team="vision"), 12),
        (AlertFilter(team="vision", channel="discord"), 6),
        (AlertFilter(team="nobody"), 0),
        (AlertFilter(model="model 1"), 12),
        (AlertFilter(model="model 0", team="speech"), 6),
    ],
)
def test_many_or_few_jobs_the_same_alerts_are_found(
    outbox: SqlStore, monkeypatch: pytest.MonkeyPatch, few: int, where: AlertFilter, number: int
) -> None:
    monkeypatch.setattr(reading, "FEW", few)
    assert len(outbox.list_alerts(where, limit=MOST)) == number


@contextmanager
def _noted(store: SqlStore) -> Iterator[Sequence[tuple[str, Any]]]:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _is_many: bool) -> None:
        asked.append((statement, values))

    sa.event.listen(store.engine, "before_cursor_execute", note)
    yield asked
    sa.event.remove(store.engine, "before_cursor_execute", note)


def _plan(store: SqlStore, asked: Sequence[tuple[str, Any]], source: str, *, ordered: str = "alerts.at") -> str:
    """The database's plan for the one statement, where it may not fall back on small tables' scans."""
    [page] = [each for each in asked if source in each[0] and f"ORDER BY {ordered}" in each[0]]
    is_sqlite = store.engine.dialect.name == "sqlite"
    with store.engine.connect() as connection:
        for switch in () if is_sqlite else ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            connection.exec_driver_sql(f"SET LOCAL {switch} = off")
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        return str(connection.exec_driver_sql(f"{explain} {page[0]}", page[1]).all())
