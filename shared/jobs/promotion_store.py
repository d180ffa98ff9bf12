"""What a store of promotions promises. Every method is one transaction; each may raise StoreUnavailable."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.jobs.promotions import Event, HistoryLine, NewPromotion, Promotion, PromotionState
from shared.jobs.records import Claim


class Promotions(Protocol):
    """The record of decisions and moves. Of one model's alias, at most one promotion is MOVING at a time."""

    def last_event(self, model: str, alias: str) -> int:
        """Return the number of the last event of this model's alias; 0 if there is none. Ask before reading facts."""

    def propose(self, new: NewPromotion, *, seen: int, claim: Claim | None = None) -> Promotion:
        """Record a decision, unless there were other events since ``seen``: then raise ChampionMoved.

        A state of MOVING or PROMOTED raises MoveUnderWay while another move is being made. A job's proposal
        is recorded once for each attempt, and only while the ``claim`` is held: LeaseLost.
        """

    def begin_move(self, promotion_id: str, *, seconds: float) -> Promotion:
        """Take a promotion that is MOVING, for so long; raise MoveUnderWay while another has it.

        One that is not MOVING is returned as it is. What is returned is what `end_move` takes.
        """

    def end_move(self, promotion: Promotion) -> None:
        """Give back what `begin_move` gave, for others to try; do nothing if another has it by now."""

    def carried_out(self, promotion_id: str) -> Promotion:
        """Record that the alias has moved; do nothing if that is recorded, or another end is."""

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
        """End a wait for approval, or a move that cannot be made; raise PromotionSettled if it is over already.

        An approval moves on to MOVING, and says what was ``seen``, as in `propose`, and who had the alias ``before``.
        """

    def get_promotion(self, promotion_id: str) -> Promotion:
        """Return one; raise PromotionNotFound."""

    def of_attempt(self, job_id: str, attempt: int) -> Sequence[Promotion]:
        """Return those of an attempt, in the order in which they were proposed."""

    def unfinished(self, state: PromotionState, *, older_than_seconds: float = 0) -> Sequence[Promotion]:
        """Return those of all models in this state, the oldest first."""

    def unanswered(self) -> Sequence[Promotion]:
        """Return those that nobody approved or rejected in time."""

    def decisions(self, model: str, *, since: datetime | None = None, limit: int) -> Sequence[Promotion]:
        """Return what trainings proposed about the model since then, the newest first."""

    def history(
        self, model: str, *, alias: str | None = None, limit: int, before_number: int | None = None
    ) -> Sequence[HistoryLine]:
        """Return a model's events, the newest first."""

    def champion_at(self, model: str, alias: str, at: datetime | None = None) -> HistoryLine | None:
        """Return the move after which a version had the alias then; None if none is known. ``at`` None means now."""

    def lines_of(self, promotion_id: str) -> Sequence[HistoryLine]:
        """Return the events of one promotion, the oldest first."""

    def moved_aliases(self) -> Sequence[HistoryLine]:
        """Return the last move of every model's alias."""

    def last_events(self) -> Sequence[HistoryLine]:
        """Return the last event of each model, by model."""

    def unnoted(self) -> Sequence[Promotion]:
        """Return those of jobs that ended in any way and may not be told so by the tags of their runs in MLflow."""

    def noted(self, promotion: Promotion) -> None:
        """Record that the runs tell the promotion in this state; it stays in `unnoted` if it has another one by now."""
