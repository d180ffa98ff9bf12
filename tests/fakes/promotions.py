"""What the in-memory store does with promotions."""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from shared.errors import LeaseLost, PromotionNotFound, PromotionSettled
from shared.jobs.promotion_acts import act_of_line, told_of_line
from shared.jobs.promotions import (
    ANSWERS,
    ChampionMoved,
    Event,
    HistoryLine,
    Kind,
    MoveUnderWay,
    NewPromotion,
    Promotion,
    PromotionState,
    last_reason,
    with_state,
)
from shared.jobs.records import Claim
from shared.sql.column_types import as_json, as_text
from shared.sql.promotions import ENDS_OF_MOVES, MOVES, OPEN
from tests.fakes.access.audit import MemoryAudit
from tests.fakes.records import Record


class MemoryPromotions(MemoryAudit):
    """The part of MemoryStore that is about promotions."""

    _records: dict[str, Record]
    _promotions: dict[str, Promotion]
    _events: list[HistoryLine]
    _open_notes: set[str]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def _record_model_alert(self, line: HistoryLine) -> None:
        raise NotImplementedError

    def last_event(self, model: str, alias: str) -> int:
        with self._transaction():
            return self._last(model, alias)

    def propose(self, new: NewPromotion, *, seen: int, claim: Claim | None = None) -> Promotion:
        with self._transaction() as now:
            if claim is not None:
                self._require_held(claim)
            earlier = self._earlier(new)
            if earlier is not None and earlier.state is not PromotionState.OVERTAKEN:
                return earlier
            self._require_unmoved(new, seen, state=new.state)
            values = {each.name: getattr(new, each.name) for each in fields(NewPromotion)}
            values |= {"reason": as_text(new.reason), "decision": as_json(new.decision), "facts": as_json(new.facts)}
            wait = new.approval_seconds
            made = Promotion(
                **{**values, "approval_seconds": None},
                id=earlier.id if earlier else str(uuid.uuid4()),
                created_at=now,
                ended_at=None if new.state in OPEN else now,
                expires_at=now + timedelta(seconds=wait) if wait is not None else None,
            )
            self._promotions[made.id] = made
            self._note(made, Event.DECIDED, now)
            if new.state is PromotionState.AWAITING_APPROVAL:
                self._note(made, Event.APPROVAL_WANTED, now)
            if new.state is PromotionState.PROMOTED:
                self._note(made, Event.MOVED, now)
            return made

    def begin_move(self, promotion_id: str, *, seconds: float) -> Promotion:
        with self._transaction() as now:
            known = self._promotion(promotion_id)
            if known.state is PromotionState.MOVING:
                if known.moving_until is not None and known.moving_until > now:
                    raise MoveUnderWay(known)
                known = replace(known, moving_until=now + timedelta(seconds=seconds))
                self._promotions[known.id] = known
            return known

    def end_move(self, promotion: Promotion) -> None:
        with self._transaction():
            known = self._promotion(promotion.id)
            if known.moving_until == promotion.moving_until:
                self._promotions[known.id] = replace(known, moving_until=None)

    def carried_out(self, promotion_id: str) -> Promotion:
        with self._transaction() as now:
            known = self._promotion(promotion_id)
            if known.state is PromotionState.MOVING:
                known = replace(known, state=PromotionState.PROMOTED, ended_at=now)
                self._keep(known)
                self._note(known, Event.MOVED, now)
            return known

    def settle(
        self,
        promotion_id: str,
        state: PromotionState,
        *,
        event: Event,
        actor: str,
        reason: str,
        seen: int | None = None,
        before: str | None = None,
    ) -> Promotion:
        with self._transaction() as now:
            known = self._promotion(promotion_id)
            if known.state not in (OPEN if state in ENDS_OF_MOVES else OPEN[:1]):
                raise PromotionSettled(f"Promotion {known.id} is {known.state} already.", state=str(known.state))
            if seen is not None:
                self._require_unmoved(known, seen, state=state)
            is_approved = state is PromotionState.MOVING
            known = replace(known, state=state, **({"before": before} if is_approved else {"ended_at": now}))
            self._keep(known, told=f"{ANSWERS.get(event, '')}{reason}")
            self._note(known, event, now, actor=actor, reason=reason)
            return known

    def get_promotion(self, promotion_id: str) -> Promotion:
        with self._transaction():
            return self._promotion(promotion_id)

    def of_attempt(self, job_id: str, attempt: int) -> Sequence[Promotion]:
        with self._transaction():
            mine = [each for each in self._promotions.values() if (each.job_id, each.attempt) == (job_id, attempt)]
            return sorted(mine, key=lambda each: (each.number, each.model, each.alias))

    def unfinished(self, state: PromotionState, *, older_than_seconds: float = 0) -> Sequence[Promotion]:
        with self._transaction() as now:
            until = now - timedelta(seconds=older_than_seconds)
            found = [each for each in self._promotions.values() if each.state is state and each.created_at <= until]
            return sorted(found, key=lambda each: each.created_at)

    def unanswered(self) -> Sequence[Promotion]:
        with self._transaction() as now:
            waiting = [each for each in self._promotions.values() if each.state is OPEN[0]]
            return [each for each in waiting if each.expires_at is not None and each.expires_at <= now]

    def decisions(self, model: str, *, since: datetime | None = None, limit: int) -> Sequence[Promotion]:
        with self._transaction():
            mine = [each for each in self._promotions.values() if (each.model, each.kind) == (model, Kind.TRAINING)]
            mine = [each for each in mine if since is None or each.created_at >= since]
            return sorted(mine, key=lambda each: (each.created_at, each.id), reverse=True)[:limit]

    def history(
        self, model: str, *, alias: str | None = None, limit: int, before_number: int | None = None
    ) -> Sequence[HistoryLine]:
        with self._transaction():
            found = [each for each in reversed(self._events) if each.model == model and alias in (None, each.alias)]
            return [each for each in found if before_number is None or each.number < before_number][:limit]

    def champion_at(self, model: str, alias: str, at: datetime | None = None) -> HistoryLine | None:
        with self._transaction():
            moves = [each for each in self._events if each.event is Event.MOVED and each.model == model]
            found = [each for each in moves if each.alias == alias and (at is None or each.at <= at)]
            return found[-1] if found else None

    def lines_of(self, promotion_id: str) -> Sequence[HistoryLine]:
        with self._transaction():
            return [each for each in self._events if each.promotion_id == promotion_id]

    def unnoted(self) -> Sequence[Promotion]:
        with self._transaction():
            found = [self._promotions[promotion_id] for promotion_id in self._open_notes]
            ended = [each for each in found if each.state not in OPEN]
            return sorted(ended, key=lambda each: each.ended_at or each.created_at)

    def noted(self, promotion: Promotion) -> None:
        with self._transaction():
            self._open_notes.discard(promotion.id)
            if self._promotion(promotion.id).state is not promotion.state:
                self._open_notes.add(promotion.id)

    def moved_aliases(self) -> Sequence[HistoryLine]:
        with self._transaction():
            moves = {(each.model, each.alias): each for each in self._events if each.event is Event.MOVED}
            return [moves[key] for key in sorted(moves)]

    def last_events(self) -> Sequence[HistoryLine]:
        with self._transaction():
            last = {each.model: each for each in self._events}
            return [last[model] for model in sorted(last)]

    def _as_settled(self, result: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        known = self._promotions.get(str(((result or {}).get("decision") or {}).get("id")))
        if known is None:
            return result
        lines = [each for each in self._events if each.promotion_id == known.id]
        return with_state(result, known.id, known.state, reason=last_reason(lines))

    def _keep(self, known: Promotion, *, told: str | None = None) -> None:
        self._promotions[known.id] = known
        if known.job_id is not None and known.state not in OPEN:
            self._open_notes.add(known.id)
        if record := self._records.get(known.job_id or ""):
            result = with_state(record.job.result, known.id, known.state, reason=told)
            if result is not None:
                record.change(result=result)

    def _last(self, model: str, alias: str) -> int:
        return max((each.number for each in self._events if (each.model, each.alias) == (model, alias)), default=0)

    def _require_held(self, claim: Claim) -> None:
        record = self._records.get(claim.job.id)
        if record is None or record.token != claim.token or not record.is_supervised:
            raise LeaseLost(f"Job {claim.job.id} no longer belongs to this worker.", job_id=claim.job.id)

    def _earlier(self, new: NewPromotion) -> Promotion | None:
        same = ("job_id", "attempt", "model", "alias", "number")
        mine = (each for each in self._promotions.values() if all(getattr(each, n) == getattr(new, n) for n in same))
        return next(mine, None) if new.job_id is not None else None

    def _require_unmoved(self, new: NewPromotion, seen: int, *, state: PromotionState) -> None:
        moving = [each for each in self._promotions.values() if each.state is PromotionState.MOVING]
        for each in moving if state in MOVES else []:
            if (each.model, each.alias) == (new.model, new.alias):
                raise MoveUnderWay(each)
        if self._last(new.model, new.alias) != seen:
            raise ChampionMoved

    def _promotion(self, promotion_id: str) -> Promotion:
        if promotion_id not in self._promotions:
            raise PromotionNotFound.of(promotion_id)
        return self._promotions[promotion_id]

    def _note(
        self, made: Promotion, event: Event, now: datetime, *, actor: str | None = None, reason: str | None = None
    ) -> None:
        same: dict[str, Any] = {n: getattr(made, n) for n in ("model", "alias", "kind", "version", "before", "job_id")}
        who: dict[str, Any] = {
            "actor": actor or made.actor,
            "reason": as_text(made.reason if reason is None else reason),
        }
        number = len(self._events) + 1
        line = HistoryLine(number=number, promotion_id=made.id, at=now, event=event, **same, **who)
        self._events.append(line)
        self._record_model_alert(line)
        if (act := act_of_line(line)) is not None:
            self._record_act(f"model:{line.model}", now, told_of_line(line), act=act)
