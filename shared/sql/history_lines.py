"""Reads lines of models' histories, and what they say about a promotion that a job shows."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from shared.jobs.promotions import HistoryLine, last_reason, with_state
from shared.sql.engine import Transaction
from shared.sql.model_tables import model_events, promotions

LINE_FIELDS = [field.name for field in fields(HistoryLine)]


def as_settled(transaction: Transaction, result: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the result with its promotion as that is by now. The caller has locked the job's row."""
    promotion_id = ((result or {}).get("decision") or {}).get("id")
    if promotion_id is None:
        return result
    row = transaction.one(sa.select(promotions.c.state).where(promotions.c.id == promotion_id))
    if row is None:
        return result
    return with_state(result, promotion_id, row.state, reason=last_reason(lines_of(transaction, promotion_id)))


def lines_of(transaction: Transaction, promotion_id: str) -> list[HistoryLine]:
    """Return the promotion's events, the oldest first."""
    mine = sa.select(model_events).where(model_events.c.promotion_id == promotion_id)
    return [to_line(row) for row in transaction.all(mine.order_by(model_events.c.number))]


def to_line(row: sa.Row[Any]) -> HistoryLine:
    """Return the line of a model's history that is in the row."""
    return HistoryLine(**{name: getattr(row, name) for name in LINE_FIELDS})
