"""Keeps the record of champions true: finishes moves whose worker is gone, and notes those made in MLflow by hand."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from shared.errors import PromotionSettled
from shared.jobs.observation_store import ModelRecord
from shared.jobs.observations import KEPT_DAYS, MOST_KEPT
from shared.jobs.promotions import Event, PromotionState
from shared.probation import move_back
from shared.promoting import Registry, carry_out, look_for_foreign
from worker.resilience import survive

LEFT_SECONDS = 60  # after which a move is nobody's: its worker would have made it by then
NOBODY = "nobody"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Aliases:
    """What the sweep of any worker does about aliases; several may do it at once."""

    store: ModelRecord
    registry: Registry

    def settle(self) -> None:
        """Do all of it, each model's on its own: one that MLflow refuses must not hold up the others."""
        for promotion in self.store.unanswered():
            survive("expire", partial(self._expire, promotion.id))
        for promotion in self.store.unfinished(PromotionState.MOVING, older_than_seconds=LEFT_SECONDS):
            survive("carry out", partial(carry_out, self.store, self.registry, promotion))
        for line in self.store.moved_aliases():
            survive("look", partial(look_for_foreign, self.store, self.registry, line.model, line.alias))
        for broken in self.store.broken():
            survive("move back", partial(move_back, self.store, self.registry, broken.model))
        survive("forget observations", self._forget)

    def _forget(self) -> None:
        if count := self.store.forget_observations(older_than_days=KEPT_DAYS, most=MOST_KEPT):
            logger.info("deleted old observations", extra={"count": count})

    def _expire(self, promotion_id: str) -> None:
        with suppress(PromotionSettled):  # somebody answered just now
            reason = "nobody approved it in time"
            self.store.settle(promotion_id, PromotionState.EXPIRED, event=Event.EXPIRED, actor=NOBODY, reason=reason)
