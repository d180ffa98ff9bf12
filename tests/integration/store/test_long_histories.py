"""How models' histories are read, however long they are: from an index in its order, and never all rows of a table."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from shared.sql import SqlStore

READS: tuple[tuple[str, Callable[[SqlStore], object]], ...] = (
    ("ix_model_events_model_alias_number (model=? AND alias=?)", lambda store: store.last_event("iris", "champion")),
    (
        "ix_model_events_model_alias_event_number (model=? AND alias=? AND event=?)",
        lambda store: store.champion_at("iris", "champion"),
    ),
    ("ix_model_events_model_number (model=?)", lambda store: store.history("iris", limit=50)),
    (
        "ix_model_events_model_alias_event_number (model=? AND alias=? AND event=?)",
        lambda store: store.probations("iris"),
    ),
    ("ix_model_events_model_number (model=?)", lambda store: store.last_events()),
    ("ix_promotions_model_created_at_id (model=?)", lambda store: store.decisions("iris", limit=1000)),
    ("sqlite_autoindex_promotions_1 (id=?)", lambda store: store.unnoted()),
    ("ix_observations_verdict_promotion_id_number (verdict=?)", lambda store: store.broken("iris")),
    ("ix_observations_model_number (model=?)", lambda store: store.observations("iris", limit=50)),
)
OWN_ROWS = {"SCAN CONSTANT ROW", "SCAN names", "SCAN aliases"}  # of the query itself: it goes from model to model


@pytest.mark.parametrize(("index", "read"), READS)
def test_what_is_read_is_found_in_an_index(sqlite_url: str, index: str, read: Callable[[SqlStore], object]) -> None:
    store = SqlStore(sqlite_url)
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _is_many: bool) -> None:
        asked.append((statement, values))

    read(store)
    with store.engine.connect() as connection:
        text, values = asked[-1]
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
    store.close()
    assert any(line.endswith(f"INDEX {index}") for line in plan)
    assert [line for line in plan if line.startswith("SCAN ") and line not in OWN_ROWS] == []
