"""Keeps what was decided about a model's versions, and every move of an alias. Of each alias, one moves at a time."""

import uuid
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.errors import PromotionNotFound, PromotionSettled
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
    with_state,
)
from shared.jobs.records import Claim
from shared.sql.claiming import held_row
from shared.sql.engine import Lock, Transaction
from shared.sql.history_lines import Histories, of_alias, to_promotion
from shared.sql.model_tables import model_events, open_notes, promotions
from shared.sql.outbox import record_model_alert
from shared.sql.rows import change_job
from shared.sql.tables import jobs

NEW_FIELDS = [field.name for field in fields(NewPromotion) if field.name != "approval_seconds"]
OPEN = (PromotionState.AWAITING_APPROVAL, PromotionState.MOVING)
ENDED = tuple(state for state in PromotionState if state not in OPEN)
MOVES = (PromotionState.MOVING, PromotionState.PROMOTED)
SECOND_EVENTS = {
    PromotionState.AWAITING_APPROVAL: Event.APPROVAL_WANTED,
    PromotionState.PROMOTED: Event.MOVED,
}
ENDS_OF_MOVES = (PromotionState.OVERTAKEN, PromotionState.IMPOSSIBLE)


class Promotions(Histories):
    """The part of the JobStore that is about promotions."""

    def last_event(self, model: str, alias: str) -> int:
        """Return the number of the alias's last event, or 0."""
        with self.reading() as transaction:
            return _last_event(transaction, model, alias)

    def propose(self, new: NewPromotion, *, seen: int, claim: Claim | None = None) -> Promotion:
        """Record a decision about which nothing has changed since ``seen``."""
        with self.writing() as transaction:
            if claim is not None:
                held_row(transaction, claim)
            transaction.lock(f"{new.model}@{new.alias}", Lock.MODEL)
            earlier = _find_proposal(transaction, new)
            if earlier is not None and earlier.state != PromotionState.OVERTAKEN:
                return to_promotion(earlier)
            _require_unmoved(transaction, new, seen, state=new.state)
            promotion_id = earlier.id if earlier is not None else str(uuid.uuid4())
            _write(transaction, new, promotion_id, is_new=earlier is None)
            row = _read(transaction, promotion_id)
            self._note(transaction, row, Event.DECIDED, new.actor, new.reason)
            if new.state in SECOND_EVENTS:
                self._note(transaction, row, SECOND_EVENTS[new.state], new.actor, new.reason)
            return to_promotion(row)

    def begin_move(self, promotion_id: str, *, seconds: float) -> Promotion:
        """Take one that is MOVING."""
        with self.writing() as transaction:
            row = _read(transaction, promotion_id, for_update=True)
            if row.state == PromotionState.MOVING:
                if row.moving_until is not None and row.moving_until > transaction.now:
                    raise MoveUnderWay(to_promotion(row))
                _set(transaction, promotion_id, moving_until=transaction.now + timedelta(seconds=seconds))
            return to_promotion(_read(transaction, promotion_id))

    def end_move(self, promotion: Promotion) -> None:
        """Give it back."""
        with self.writing() as transaction:
            row = _read(transaction, promotion.id, for_update=True)
            if row.moving_until == promotion.moving_until:
                _set(transaction, promotion.id, moving_until=None)

    def carried_out(self, promotion_id: str) -> Promotion:
        """Record that the alias has moved, once."""
        with self.writing() as transaction:
            row = _hold(transaction, promotion_id)
            if row.state == PromotionState.MOVING:
                _change(transaction, row, state=PromotionState.PROMOTED, ended_at=transaction.now)
                self._note(transaction, row, Event.MOVED, row.actor, row.reason)
            return to_promotion(_read(transaction, promotion_id))

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
        """End a wait for approval, or a move that cannot be made."""
        with self.writing() as transaction:
            row = _hold(transaction, promotion_id)
            if row.state not in (OPEN if state in ENDS_OF_MOVES else OPEN[:1]):
                raise PromotionSettled(_settled(row), promotion_id=promotion_id, state=str(row.state))
            if seen is not None:
                _require_unmoved(transaction, row, seen, state=state)
            is_approved = state is PromotionState.MOVING
            changes = {"before": before} if is_approved else {"ended_at": transaction.now}
            _change(transaction, row, told=f"{ANSWERS.get(event, '')}{reason}", state=state, **changes)
            row = _read(transaction, promotion_id)
            self._note(transaction, row, event, actor, reason)
            return to_promotion(row)

    def get_promotion(self, promotion_id: str) -> Promotion:
        """Return one."""
        with self.reading() as transaction:
            return to_promotion(_read(transaction, promotion_id))

    def of_attempt(self, job_id: str, attempt: int) -> Sequence[Promotion]:
        """Return those of an attempt."""
        with self.reading() as transaction:
            mine = sa.select(promotions).where(promotions.c.job_id == job_id, promotions.c.attempt == attempt)
            rows = transaction.all(mine.order_by(promotions.c.number, promotions.c.model, promotions.c.alias))
            return [to_promotion(row) for row in rows]

    def unfinished(self, state: PromotionState, *, older_than_seconds: float = 0) -> Sequence[Promotion]:
        """Return those in this state."""
        with self.reading() as transaction:
            until = transaction.now - timedelta(seconds=older_than_seconds)
            old = sa.select(promotions).where(promotions.c.state == state, promotions.c.created_at <= until)
            return [to_promotion(row) for row in transaction.all(old.order_by(promotions.c.created_at))]

    def unanswered(self) -> Sequence[Promotion]:
        """Return those that nobody approved or rejected in time."""
        with self.reading() as transaction:
            is_over = (promotions.c.state == OPEN[0], promotions.c.expires_at <= transaction.now)
            rows = transaction.all(sa.select(promotions).where(*is_over).order_by(promotions.c.expires_at))
            return [to_promotion(row) for row in rows]

    def decisions(self, model: str, *, since: datetime | None = None, limit: int) -> Sequence[Promotion]:
        """Return what trainings proposed about the model, the newest first."""
        where = [promotions.c.model == model, promotions.c.kind == Kind.TRAINING]
        where += [promotions.c.created_at >= since] if since is not None else []
        newest = sa.select(promotions).where(*where).order_by(promotions.c.created_at.desc(), promotions.c.id.desc())
        with self.reading() as transaction:
            return [to_promotion(row) for row in transaction.all(newest.limit(limit))]

    def unnoted(self) -> Sequence[Promotion]:
        """Return those that ended, and whose runs may not tell how."""
        # The state is looked at here: SQLite would look at all that ever ended, to find the few with an open note.
        with_note = sa.select(promotions).where(promotions.c.id.in_(sa.select(open_notes.c.promotion_id)))
        with self.reading() as transaction:
            rows = transaction.all(with_note.order_by(promotions.c.ended_at))
            return [to_promotion(row) for row in rows if row.state in ENDED]

    def noted(self, promotion: Promotion) -> None:
        """Record that the runs tell this state; if it has changed since, they have to be told again."""
        with self.writing() as transaction:
            row = _read(transaction, promotion.id, for_update=True)
            transaction.execute(sa.delete(open_notes).where(open_notes.c.promotion_id == row.id))
            if row.state != promotion.state:
                _open_note(transaction, row)

    def _note(self, transaction: Transaction, row: sa.Row[Any], event: Event, actor: str, reason: str) -> None:
        """Add a line to the history, and an alert about it to the outbox."""
        line = _add_line(transaction, row, event, actor, reason)
        record_model_alert(transaction, line, self.alerting)
        if (act := act_of_line(line)) is not None:
            transaction.record_act(f"model:{line.model}", told_of_line(line), act=act)


def read_promotion(transaction: Transaction, promotion_id: str) -> Promotion:
    """Return one; raise PromotionNotFound."""
    return to_promotion(_read(transaction, promotion_id))


def _last_event(transaction: Transaction, model: str, alias: str) -> int:
    last = sa.select(sa.func.coalesce(sa.func.max(model_events.c.number), 0)).where(*of_alias(model, alias))
    number: int = transaction.execute(last).scalar_one()
    return number


def _require_unmoved(
    transaction: Transaction, of: NewPromotion | sa.Row[Any], seen: int, *, state: PromotionState
) -> None:
    """Raise if another move is being made, or something happened since ``seen``: the decision may be wrong by now."""
    if state in MOVES:
        mine = (promotions.c.model == of.model, promotions.c.alias == of.alias)
        under_way = sa.select(promotions).where(promotions.c.state == PromotionState.MOVING, *mine)
        if (row := transaction.one(under_way)) is not None:
            raise MoveUnderWay(to_promotion(row))
    if _last_event(transaction, of.model, of.alias) != seen:
        raise ChampionMoved


def _find_proposal(transaction: Transaction, new: NewPromotion) -> sa.Row[Any] | None:
    if new.job_id is None:
        return None
    same = [getattr(promotions.c, name) == getattr(new, name) for name in ("job_id", "attempt", "model", "alias")]
    return transaction.one(sa.select(promotions).where(*same, promotions.c.number == new.number))


def _write(transaction: Transaction, new: NewPromotion, promotion_id: str, *, is_new: bool) -> None:
    now = transaction.now
    values = {name: getattr(new, name) for name in NEW_FIELDS} | {"created_at": now}
    values |= {"ended_at": None if new.state in OPEN else now, "moving_until": None}
    values["expires_at"] = now + timedelta(seconds=new.approval_seconds) if new.approval_seconds is not None else None
    if is_new:
        transaction.execute(sa.insert(promotions).values(id=promotion_id, **values))
    else:
        _set(transaction, promotion_id, **values)


def _set(transaction: Transaction, promotion_id: str, **values: Any) -> None:
    transaction.execute(sa.update(promotions).where(promotions.c.id == promotion_id).values(**values))


def _read(transaction: Transaction, promotion_id: str, *, for_update: bool = False) -> sa.Row[Any]:
    statement = sa.select(promotions).where(promotions.c.id == promotion_id)
    row = transaction.one(statement.with_for_update() if for_update else statement)
    if row is None:
        raise PromotionNotFound.of(promotion_id)
    return row


def _hold(transaction: Transaction, promotion_id: str) -> sa.Row[Any]:
    """Return the promotion's row, locked after its job and its alias, as in `propose`.

    Without the alias's lock, another event could get a later number, and be seen, before this one's is.
    """
    row = _read(transaction, promotion_id)
    _hold_job(transaction, row)
    transaction.lock(f"{row.model}@{row.alias}", Lock.MODEL)
    return _read(transaction, promotion_id, for_update=True)


def _hold_job(transaction: Transaction, row: sa.Row[Any]) -> sa.Row[Any] | None:
    """Return the job's row, locked. None if there is none, or no more."""
    return transaction.one(sa.select(jobs).where(jobs.c.id == row.job_id).with_for_update())


def _change(transaction: Transaction, row: sa.Row[Any], *, told: str | None = None, **values: Any) -> None:
    """Change the promotion, and what its job says of it, if that has ended: its record stays true."""
    _set(transaction, row.id, **values)
    if row.job_id is not None and values["state"] not in OPEN:
        _open_note(transaction, row)
    job = _hold_job(transaction, row)
    if job is not None and (result := with_state(job.result, row.id, values["state"], reason=told)) is not None:
        change_job(transaction, job, result=result)


def _open_note(transaction: Transaction, row: sa.Row[Any]) -> None:
    """Note that the run has to tell what became of the promotion. The caller has locked its row."""
    if transaction.one(sa.select(open_notes).where(open_notes.c.promotion_id == row.id)) is None:
        transaction.execute(sa.insert(open_notes).values(promotion_id=row.id))


def _add_line(transaction: Transaction, row: sa.Row[Any], event: Event, actor: str, reason: str) -> HistoryLine:
    values = {name: getattr(row, name) for name in ("model", "alias", "kind", "version", "before", "job_id")}
    values |= {"promotion_id": row.id, "at": transaction.now, "event": event, "actor": actor, "reason": reason}
    added = sa.insert(model_events).values(**values).returning(model_events.c.number)
    return HistoryLine(number=transaction.execute(added).scalar_one(), **values)


def _settled(row: sa.Row[Any]) -> str:
    return f"Promotion {row.id} of {row.model} is {row.state} already: GET /models/{row.model}/history says by whom."
