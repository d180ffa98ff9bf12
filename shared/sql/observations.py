"""Keeps what monitoring reports about champions, and judges it by their probations."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.jobs.observations import (
    LONGEST_DAYS,
    NewObservation,
    Observation,
    UnderWay,
    Verdict,
    judge,
    may_be_of,
    observed_at,
    require_champion,
    require_same,
    under_way_since,
)
from shared.jobs.promotions import CHAMPION, Event, Kind
from shared.sql.engine import Database, Lock, Transaction
from shared.sql.history_lines import last_move, last_moves, to_promotion
from shared.sql.model_tables import model_events, observations, promotions
from shared.sql.promotions import read_promotion

FIELDS = [field.name for field in fields(Observation)]


class Observations(Database):
    """The part of the JobStore that is about observations."""

    def observe(self, new: NewObservation) -> Observation:
        """Record and judge it, once."""
        with self.writing() as transaction:
            transaction.lock(f"{new.model}@{CHAMPION}", Lock.MODEL)
            at, champion = observed_at(new, transaction.now), last_move(transaction, new.model, CHAMPION)
            then = last_move(transaction, new.model, CHAMPION, new.at) or champion  # the history may be younger
            if (known := _find(transaction, new, at, *may_be_of(new, then))) is not None:
                return require_same(known, new)
            version = require_champion(new, then, champion)
            under_way = _find_under_way(transaction, new.model)
            verdict, reason = judge(new, at, transaction.now, under_way)
            by = under_way.promotion_id if under_way and verdict is not Verdict.NOT_JUDGED else None
            said = {name: getattr(new, name) for name in ("model", "metric", "value", "n", "actor")}
            values = {**said, "version": version, "at": at, "received_at": transaction.now, "promotion_id": by}
            transaction.execute(sa.insert(observations).values(**values, verdict=verdict, reason=reason))
            made = _find(transaction, new, at, version)
            assert made is not None  # noqa: S101 - it was just written
            transaction.record_act(f"model:{new.model}", f"version {version}, {new.metric}")
            return made

    def observations(
        self,
        model: str,
        *,
        version: str | None = None,
        metric: str | None = None,
        limit: int,
        before_number: int | None = None,
    ) -> Sequence[Observation]:
        """Return a model's observations, the newest first."""
        where = [observations.c.model == model]
        where += [observations.c.version == version] if version is not None else []
        where += [observations.c.metric == metric] if metric is not None else []
        where += [observations.c.number < before_number] if before_number is not None else []
        with self.reading() as transaction:
            newest = sa.select(observations).where(*where).order_by(observations.c.number.desc()).limit(limit)
            return [_to_observation(row) for row in transaction.all(newest)]

    def probations(self, model: str | None = None) -> Mapping[str, UnderWay]:
        """Return the probations that have not ended, with what was observed in them."""
        is_champion = (model_events.c.number.in_(last_moves(model)), model_events.c.alias == CHAMPION)
        begun = sa.select(promotions, model_events.c.at.label("moved_at")).join(
            promotions, promotions.c.id == model_events.c.promotion_id
        )
        with self.reading() as transaction:
            is_recent = model_events.c.at > transaction.now - timedelta(days=LONGEST_DAYS)
            rows = transaction.all(begun.where(*is_champion, is_recent))
            found = {row.model: under_way_since(row.moved_at, to_promotion(row)) for row in rows}
            return {
                name: _counted(transaction, name, _with_reference(transaction, name, each))
                for name, each in found.items()
                if each is not None and transaction.now < each.until
            }

    def broken(self, model: str | None = None) -> Sequence[Observation]:
        """Return the first observation that broke the rule of each champion that must still go."""
        mine = [] if model is None else [observations.c.model == model]
        first = sa.select(sa.func.min(observations.c.number)).where(observations.c.verdict == Verdict.BROKEN, *mine)
        with self.reading() as transaction:
            by_move = sa.select(observations).where(
                observations.c.number.in_(first.group_by(observations.c.promotion_id)),
                observations.c.promotion_id.in_(_moves_that_can_be_undone(model)),
            )
            rows = transaction.all(by_move.order_by(observations.c.number))
            return [_to_observation(row) for row in rows]

    def forget_observations(self, *, older_than_days: float, most: int) -> int:
        """Delete the old ones, and those of which there are too many."""
        kept = observations.c.model, observations.c.version
        many = sa.select(*kept).group_by(*kept).having(sa.func.count() > most)
        with self.reading() as transaction:  # nobody waits for the count
            crowded = transaction.all(many)
        with self.writing() as transaction:
            until = transaction.now - timedelta(days=older_than_days)
            count: int = transaction.execute(sa.delete(observations).where(observations.c.received_at < until)).rowcount
            return count + sum(_keep_newest(transaction, row.model, row.version, most) for row in crowded)


def _find(transaction: Transaction, new: NewObservation, at: datetime, *versions: str | None) -> Observation | None:
    here = observations.c
    same = (here.model == new.model, here.version.in_(versions), here.metric == new.metric, here.at == at)
    row = transaction.one(sa.select(observations).where(*same).order_by(here.number.desc()))
    return _to_observation(row) if row is not None else None


def _find_under_way(transaction: Transaction, model: str) -> UnderWay | None:
    """Return the probation that the last move of the champion began, over or not."""
    moved = last_move(transaction, model, CHAMPION)
    found = under_way_since(moved.at, read_promotion(transaction, moved.promotion_id)) if moved is not None else None
    return _with_reference(transaction, model, found) if found is not None else None


def _with_reference(transaction: Transaction, model: str, found: UnderWay) -> UnderWay:
    if found.reference is not None or found.before is None:
        return found
    return replace(found, reference=_observed_before(transaction, model, found))


def _observed_before(transaction: Transaction, model: str, found: UnderWay) -> float | None:
    """Return the mean of what was observed of the version before, for as long as the probation takes.

    Divided here: PostgreSQL refuses a quotient that is too small for a number, where Python says 0.
    """
    here = observations.c
    since = here.at >= found.since - found.rule.length
    mine = (here.model == model, here.version == found.before, here.metric == found.rule.metric)
    sums = sa.select(sa.func.sum(here.value * here.n).label("value"), sa.func.sum(here.n).label("n"))
    row = transaction.execute(sums.where(*mine, since)).one()
    return row.value / float(row.n) if row.n else None


def _counted(transaction: Transaction, model: str, found: UnderWay) -> UnderWay:
    here = observations.c
    mine = (here.model == model, here.version == found.version, here.metric == found.rule.metric)
    is_broken = sa.case((here.verdict == Verdict.BROKEN, 1), else_=0)
    counts = sa.select(sa.func.count().label("every"), sa.func.coalesce(sa.func.sum(is_broken), 0).label("broken"))
    row = transaction.execute(counts.where(*mine, here.at >= found.since)).one()
    return replace(found, observations=row.every, broken=row.broken)


def _moves_that_can_be_undone(model: str | None) -> sa.Select[Any]:
    """Select the ids of promotions whose version is champion since, and has one before it; of one model or all.

    A move back that the registry refused for good is not tried again.
    """
    refused = model_events.alias()
    is_refused = sa.exists().where(
        refused.c.model == model_events.c.model,
        refused.c.alias == CHAMPION,
        refused.c.kind == Kind.PROBATION,
        refused.c.event == Event.IMPOSSIBLE,
        refused.c.number > model_events.c.number,
    )
    is_last = (model_events.c.number.in_(last_moves(model)), model_events.c.alias == CHAMPION)
    moved = sa.select(model_events.c.promotion_id).join(promotions, promotions.c.id == model_events.c.promotion_id)
    return moved.where(*is_last, ~is_refused, promotions.c.before.is_not(None))


def _keep_newest(transaction: Transaction, model: str, version: str, most: int) -> int:
    mine = (observations.c.model == model, observations.c.version == version)
    newest = sa.select(observations.c.number).where(*mine).order_by(observations.c.number.desc())
    first_gone = newest.offset(most).limit(1).scalar_subquery()
    count: int = transaction.execute(sa.delete(observations).where(*mine, observations.c.number <= first_gone)).rowcount
    return count


def _to_observation(row: sa.Row[Any]) -> Observation:
    return Observation(**{name: getattr(row, name) for name in FIELDS})
