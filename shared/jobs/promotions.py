"""Defines a promotion: a version that is to have an alias, what was decided about it, and the history of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

CHAMPION, PREVIOUS = "champion", "previous"  # as in mypackage.protocol


class Kind(StrEnum):
    """What wanted the alias to move."""

    TRAINING = "training"
    ROLLBACK = "rollback"  # a person
    PROBATION = "probation"  # a rule about what monitoring reported
    FOREIGN = "foreign"  # somebody, in MLflow itself


class PromotionState(StrEnum):
    """What became of it."""

    NOT_PROMOTED = "not_promoted"
    AWAITING_APPROVAL = "awaiting_approval"
    MOVING = "moving"  # decided and recorded; the alias is about to move
    PROMOTED = "promoted"
    REJECTED = "rejected"
    EXPIRED = "expired"  # nobody approved it in time
    OVERTAKEN = "overtaken"  # another version took the alias before it could
    IMPOSSIBLE = "impossible"  # MLflow does not let it have the alias, such as a version that was deleted

    @property
    def may_be_champion(self) -> bool:
        """Whether the alias has moved to it, or may still do so."""
        return self in (PromotionState.AWAITING_APPROVAL, PromotionState.MOVING, PromotionState.PROMOTED)


class Event(StrEnum):
    """One line of a model's history."""

    DECIDED = "decided"
    APPROVAL_WANTED = "approval_wanted"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    MOVED = "moved"
    OVERTAKEN = "overtaken"
    IMPOSSIBLE = "impossible"


ANSWERS = {Event.APPROVED: "approved: ", Event.REJECTED: "rejected: ", Event.EXPIRED: "expired: "}  # before the reason
MOST_OTHER_METRICS = 50  # of each model, which the facts have besides those that the rules name
WAITS = "waits for approval"  # how the reason of a better model begins that a person must approve


@dataclass(frozen=True)
class NewPromotion:
    """What is to be recorded. ``before`` is the version that had the alias when it was decided; None for none.

    ``decision`` is what people are shown, ``facts`` are the numbers and rules that it was made from, to decide again.
    """

    model: str
    alias: str
    kind: Kind
    version: str | None
    before: str | None
    state: PromotionState
    actor: str
    reason: str
    job_id: str | None = None
    attempt: int | None = None
    number: int = 0  # of the attempt's proposals about this model and alias
    decision: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    approval_seconds: float | None = None  # how long an approval is waited for

    @property
    def previous_alias(self) -> str:
        """The alias that the replaced version gets."""
        return PREVIOUS if self.alias == CHAMPION else f"{PREVIOUS}-{self.alias}"


@dataclass(frozen=True)
class Promotion(NewPromotion):
    """A recorded one."""

    id: str = ""
    created_at: datetime = field(kw_only=True)
    ended_at: datetime | None = None
    expires_at: datetime | None = None
    moving_until: datetime | None = None  # until then, whoever has begun the move is alone with it


@dataclass(frozen=True)
class HistoryLine:
    """One event of a model's history; after MOVED, ``version`` has the alias and ``before`` no longer."""

    number: int  # grows with every event of any model
    promotion_id: str
    at: datetime
    model: str
    alias: str
    event: Event
    kind: Kind
    version: str | None
    before: str | None
    actor: str
    reason: str
    job_id: str | None = None


class ChampionMoved(Exception):
    """The model has other events since the facts were read: read them again, and decide again."""


class MoveUnderWay(Exception):
    """Another promotion of this model and alias is being carried out: wait for it, or carry it out."""

    def __init__(self, promotion: Promotion) -> None:
        super().__init__(promotion.id)
        self.promotion = promotion


def shown_as(decision: Mapping[str, Any], state: PromotionState, *, reason: str | None = None) -> dict[str, Any]:
    """Return what a job shows of a decision: ``promoted`` says whether it has the alias, and nothing that is to come.

    ``reason`` is that of a later end; None leaves the decision's own.
    """
    is_promoted = state is PromotionState.PROMOTED
    told = {} if reason is None else {"reason": reason}
    return {**decision, **told, "promoted": is_promoted, "state": str(state)}


def last_reason(lines: Sequence[HistoryLine]) -> str | None:
    """Return the reason of what became of a promotion, from its lines; None if its decision's own still says it."""
    later = [line for line in lines[1:] if line.event not in (Event.MOVED, Event.APPROVAL_WANTED)]
    return f"{ANSWERS.get(later[-1].event, '')}{later[-1].reason}" if later else None


def with_state(
    result: Mapping[str, Any] | None, promotion_id: str, state: PromotionState, *, reason: str | None = None
) -> dict[str, Any] | None:
    """Return a job's result with what became of its promotion; None if the result shows another one, or none."""
    decision = (result or {}).get("decision") or {}
    if decision.get("id") != promotion_id:
        return None
    return {**(result or {}), "decision": shown_as(decision, state, reason=reason)}
