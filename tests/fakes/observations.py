"""What the in-memory store does with observations."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from shared.jobs.observations import (
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
from shared.jobs.promotions import CHAMPION, Event, HistoryLine, Kind, Promotion
from shared.sql.column_types import as_text
from tests.fakes.access.audit import MemoryAudit


class MemoryObservations(MemoryAudit):
    """The part of MemoryStore that is about observations."""

    _promotions: dict[str, Promotion]
    _events: list[HistoryLine]
    _observations: list[Observation]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def observe(self, new: NewObservation) -> Observation:
        with self._transaction() as now:
            at, last = observed_at(new, now), self._last_move(new.model)
            then = self._last_move(new.model, new.at) or last
            for each in (
                known for version in may_be_of(new, then) for known in self._of(new.model, version, new.metric)
            ):
                if each.at == at:
                    return require_same(each, new)
            version = require_champion(new, then, last)
            under_way = self._under_way(new.model)
            verdict, reason = judge(new, at, now, under_way)
            by = under_way.promotion_id if under_way and verdict is not Verdict.NOT_JUDGED else None
            number = self._observations[-1].number + 1 if self._observations else 1
            told = (new.value, new.n, at, now, new.actor, by, verdict, as_text(reason))
            self._observations.append(Observation(number, new.model, version, new.metric, *told))
            self._record_act(f"model:{new.model}", now, f"version {version}, {new.metric}")
            return self._observations[-1]

    def observations(
        self,
        model: str,
        *,
        version: str | None = None,
        metric: str | None = None,
        limit: int,
        before_number: int | None = None,
    ) -> Sequence[Observation]:
        with self._transaction():
            mine = [each for each in reversed(self._observations) if each.model == model]
            mine = [each for each in mine if version in (None, each.version) and metric in (None, each.metric)]
            return [each for each in mine if before_number is None or each.number < before_number][:limit]

    def probations(self, model: str | None = None) -> Mapping[str, UnderWay]:
        with self._transaction() as now:
            models = {each.model for each in self._events if model in (None, each.model)}
            found = {name: under_way for name in models if (under_way := self._under_way(name)) is not None}
            return {name: self._counted(name, each) for name, each in found.items() if now < each.until}

    def _counted(self, model: str, found: UnderWay) -> UnderWay:
        mine = self._of(model, found.version, found.rule.metric)
        verdicts = [each.verdict for each in mine if each.at >= found.since]
        return replace(found, observations=len(verdicts), broken=verdicts.count(Verdict.BROKEN))

    def broken(self, model: str | None = None) -> Sequence[Observation]:
        with self._transaction():
            first: dict[str | None, Observation] = {}
            for each in self._observations:
                if each.verdict is Verdict.BROKEN and model in (None, each.model):
                    first.setdefault(each.promotion_id, each)
            return [each for each in first.values() if self._must_go(each)]

    def forget_observations(self, *, older_than_days: float, most: int) -> int:
        with self._transaction() as now:
            kept = [each for each in self._observations if each.received_at >= now - timedelta(days=older_than_days)]
            for of in {(each.model, each.version) for each in kept}:
                gone = [each for each in kept if (each.model, each.version) == of][:-most]
                kept = [each for each in kept if each not in gone]
            count = len(self._observations) - len(kept)
            self._observations = kept
            return count

    def _of(self, model: str, version: str | None, metric: str) -> Sequence[Observation]:
        key = (model, version, metric)
        return [each for each in self._observations if (each.model, each.version, each.metric) == key]

    def _last_move(self, model: str, at: datetime | None = None) -> HistoryLine | None:
        moves = (each for each in reversed(self._events) if each.event is Event.MOVED and (at is None or each.at <= at))
        return next((each for each in moves if (each.model, each.alias) == (model, CHAMPION)), None)

    def _must_go(self, broken: Observation) -> bool:
        last = self._last_move(broken.model)
        if last is None or last.promotion_id != broken.promotion_id or last.before is None:
            return False
        later = [each for each in self._events if each.number > last.number and each.model == broken.model]
        return not any((each.kind, each.event) == (Kind.PROBATION, Event.IMPOSSIBLE) for each in later)

    def _under_way(self, model: str) -> UnderWay | None:
        last = self._last_move(model)
        found = under_way_since(last.at, self._promotions[last.promotion_id]) if last is not None else None
        if found is None or found.reference is not None or found.before is None:
            return found
        before = self._of(model, found.before, found.rule.metric)
        before = [each for each in before if each.at >= found.since - found.rule.length]
        total = sum(each.n for each in before)
        return replace(found, reference=sum(each.value * each.n for each in before) / total if total else None)
