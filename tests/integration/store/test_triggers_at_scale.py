"""Many triggers with long histories: what a worker reads of them is found by an index, whatever there is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from shared.jobs.triggers import Outcome
from shared.sql import SqlStore
from shared.sql.triggers.tables import trigger_events, triggers
from tests.support.jobs import new_job
from tests.support.kept_triggers import NAME, add, look, nothing_is_due, occurrence, report, send
from tests.support.length import rounds

TRIGGERS = rounds(500, long=10_000)
EVENTS_OF_EACH = rounds(20, long=100)
LOOKS = 20
MOST_SECONDS = 0.05  # for one look that finds nothing; it takes one to three thousandths


def fill(store: SqlStore) -> None:
    """Copy a trigger that is due tomorrow, and its event, within the database."""
    add(store)
    report(store, "signal 0")
    look(store, look_in=86400)
    triggered = sa.select(triggers).where(triggers.c.name == NAME).subquery()
    happened = sa.select(trigger_events).subquery()
    numbers, others = _numbers(TRIGGERS - 1), _numbers(EVENTS_OF_EACH - 1)
    with store.writing() as transaction:
        number = sa.cast(numbers.c.n, sa.String)
        made: dict[str, Any] = {each.name: triggered.c[each.name] for each in triggers.columns}
        made |= {"id": number, "name": sa.literal("trigger-", sa.String).concat(number)}
        _copy(transaction.connection, triggers, made, sa.join(triggered, numbers, sa.true()))
        number = sa.cast(others.c.n, sa.String)
        told: dict[str, Any] = {each.name: happened.c[each.name] for each in trigger_events.columns}
        told |= {"trigger_id": triggers.c.id, "key": sa.literal("signal ", sa.String).concat(number)}
        told |= {"outcome": sa.literal(Outcome.SKIPPED.value, sa.String)}
        del told["number"]
        joined = sa.join(sa.join(triggers, others, sa.true()), happened, sa.true())
        _copy(transaction.connection, trigger_events, told, joined)
    with store.engine.connect() as connection:
        connection.execute(sa.text("ANALYZE"))
        connection.commit()


def _numbers(count: int) -> sa.CTE:
    found = sa.select(sa.literal(1).label("n")).cte(f"to_{count}", recursive=True)
    return found.union_all(sa.select(found.c.n + 1).where(found.c.n < count))


def _copy(connection: sa.Connection, table: sa.Table, values: dict[str, Any], where: sa.Join) -> None:
    rows = sa.select(*values.values()).select_from(where)
    connection.execute(sa.insert(table).from_select(list(values), rows))


@contextmanager
def plans(store: SqlStore) -> Iterator[list[str]]:
    """How the database finds what each statement within is about."""
    asked: list[tuple[str, Any]] = []
    explain = "EXPLAIN QUERY PLAN" if store.engine.dialect.name == "sqlite" else "EXPLAIN"

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _is_many: bool) -> None:
        asked.append((statement, values))

    sa.event.listen(store.engine, "before_cursor_execute", note)
    told: list[str] = []
    yield told
    sa.event.remove(store.engine, "before_cursor_execute", note)
    with store.engine.connect() as connection:
        for statement, values in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")) and "trigger" in statement:
                told.append(str(connection.exec_driver_sql(f"{explain} {statement}", values).all()))


def test_that_nothing_is_due_is_found_in_an_index(sql_store: SqlStore) -> None:
    fill(sql_store)
    with plans(sql_store) as told:
        assert nothing_is_due(sql_store)
    due, ahead = told
    assert "ix_triggers_state_look_at" in due
    assert "ix_triggers_state_looked_at" in ahead
    began = time.monotonic()
    for _ in range(LOOKS):
        assert nothing_is_due(sql_store)
    assert (time.monotonic() - began) / LOOKS < MOST_SECONDS


def test_what_is_sent_fired_and_told_reads_no_table_to_its_end(sql_store: SqlStore) -> None:
    fill(sql_store)
    with plans(sql_store) as told:
        assert send(sql_store, "signal new", subject="s").event.outcome is Outcome.FIRED
        sql_store.fire_trigger(NAME, occurrence(sql_store, "by hand"), new_job(trigger_name=NAME))
        sql_store.pause_trigger(NAME, reason="")
        sql_store.resume_trigger(NAME)
        sql_store.trigger_events(NAME, limit=50)
    assert len(told) > 20
    scans = ("SCAN triggers", "SCAN trigger_events", "Seq Scan on triggers", "Seq Scan on trigger_events")
    assert [plan for plan in told if any(scan in plan for scan in scans)] == []


def test_the_newest_event_of_each_trigger_is_found_by_the_index(sql_store: SqlStore) -> None:
    fill(sql_store)
    with plans(sql_store) as told:
        assert len(sql_store.newest_trigger_events()) == TRIGGERS
    assert any("ix_trigger_events_trigger_id_number" in plan for plan in told)
    assert [plan for plan in told if "SCAN own" in plan or "Seq Scan on trigger_events own" in plan] == []


def test_history_is_forgotten_for_all_at_once(sql_store: SqlStore) -> None:
    fill(sql_store)
    most = EVENTS_OF_EACH // 2
    assert sql_store.forget_trigger_events(older_than_days=90, most=most) == TRIGGERS * (EVENTS_OF_EACH - 1 - most)
