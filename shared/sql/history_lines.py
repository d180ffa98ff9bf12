"""Reads promotions, lines of models' histories, and what they say about a promotion that a job shows."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shared.jobs.promotions import Event, HistoryLine, Promotion, last_reason, with_state
from shared.sql.engine import Database, Transaction
from shared.sql.model_tables import model_events, promotions

FIELDS = [field.name for field in fields(Promotion) if field.name != "approval_seconds"]
LINE_FIELDS = [field.name for field in fields(HistoryLine)]


class Histories(Database):
    """The part of the JobStore that reads histories."""

    def history(
        self, model: str, *, alias: str | None = None, limit: int, before_number: int | None = None
    ) -> Sequence[HistoryLine]:
        """Return a model's events, the newest first."""
        where = [model_events.c.model == model]
        where += [model_events.c.alias == alias] if alias is not None else []
        where += [model_events.c.number < before_number] if before_number is not None else []
        with self.reading() as transaction:
            newest = sa.select(model_events).where(*where).order_by(model_events.c.number.desc()).limit(limit)
            return [to_line(row) for row in transaction.all(newest)]

    def champion_at(self, model: str, alias: str, at: datetime | None = None) -> HistoryLine | None:
        """Return the last move until then."""
        with self.reading() as transaction:
            return last_move(transaction, model, alias, at)

    def lines_of(self, promotion_id: str) -> Sequence[HistoryLine]:
        """Return the promotion's events, the oldest first."""
        with self.reading() as transaction:
            return lines_of(transaction, promotion_id)

    def moved_aliases(self) -> Sequence[HistoryLine]:
        """Return the last move of every alias."""
        with self.reading() as transaction:
            found = sa.select(model_events).where(model_events.c.number.in_(last_moves()))
            rows = transaction.all(found.order_by(model_events.c.model, model_events.c.alias))
            return [to_line(row) for row in rows]

    def last_events(self) -> Sequence[HistoryLine]:
        """Return the last event of each model."""
        with self.reading() as transaction:
            rows = transaction.all(sa.select(model_events).where(model_events.c.number.in_(_last_numbers())))
            return sorted((to_line(row) for row in rows), key=lambda line: line.model)


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


def to_promotion(row: sa.Row[Any]) -> Promotion:
    """Return the promotion that is in the row."""
    return Promotion(**{name: getattr(row, name) for name in FIELDS})


def last_move(transaction: Transaction, model: str, alias: str, at: datetime | None = None) -> HistoryLine | None:
    """Return the last move of the alias, until then or now."""
    moved = [*of_alias(model, alias), model_events.c.event == Event.MOVED]
    moved += [model_events.c.at <= at] if at is not None else []
    row = transaction.one(sa.select(model_events).where(*moved).order_by(model_events.c.number.desc()).limit(1))
    return to_line(row) if row is not None else None


def last_moves(model: str | None = None) -> sa.Select[Any]:
    """Select the numbers of the last moves of all aliases, of one model or all."""
    alias = _aliases(_names() if model is None else sa.select(sa.literal(model).label("model")).cte("names"))
    moved = sa.select(sa.func.max(model_events.c.number)).where(model_events.c.event == Event.MOVED)
    mine = moved.where(model_events.c.model == alias.c.model, model_events.c.alias == alias.c.alias)
    return sa.select(mine.correlate(alias).scalar_subquery()).select_from(alias).where(alias.c.alias.is_not(None))


def of_alias(model: str, alias: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions of its events."""
    return model_events.c.model == model, model_events.c.alias == alias


def _last_numbers() -> sa.Select[Any]:
    """Select the number of each model's last event."""
    names = _names()
    last = sa.select(sa.func.max(model_events.c.number)).where(model_events.c.model == names.c.model)
    return sa.select(last.correlate(names).scalar_subquery()).select_from(names).where(names.c.model.is_not(None))


def _names() -> sa.CTE:
    """Select all models, and a NULL: from each to the next, because a look at all events would take too long."""
    names = sa.select(sa.func.min(model_events.c.model).label("model")).cte("names", recursive=True)
    following = sa.select(sa.func.min(model_events.c.model)).where(model_events.c.model > names.c.model)
    return names.union_all(sa.select(following.scalar_subquery()).where(names.c.model.is_not(None)))


def _aliases(names: sa.CTE) -> sa.CTE:
    """Select the aliases of these models in the same way, and a NULL for each model."""
    first = sa.select(sa.func.min(model_events.c.alias)).where(model_events.c.model == names.c.model)
    alias = sa.select(names.c.model, first.correlate(names).scalar_subquery().label("alias"))
    alias = alias.where(names.c.model.is_not(None))
    found = alias.cte("aliases", recursive=True)
    same_model = (model_events.c.model == found.c.model, model_events.c.alias > found.c.alias)
    following = sa.select(sa.func.min(model_events.c.alias)).where(*same_model).correlate(found).scalar_subquery()
    return found.union_all(sa.select(found.c.model, following).where(found.c.alias.is_not(None)))
