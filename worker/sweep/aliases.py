"""Keeps the record of champions true, and MLflow: finishes moves that were left, notes those made by hand."""

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from shared.jobs.observations import KEPT_DAYS, MOST_KEPT
from shared.jobs.promotions import MoveUnderWay, Promotion, PromotionState
from shared.jobs.store import JobStore
from shared.probation import move_back
from shared.promoting import MOVE_SECONDS, REAL_TIME, Registry, Time, carry_out, expire, look_for_foreign
from worker.attempt.noting import Notes, Noting
from worker.resilience import survive

LEFT_SECONDS = MOVE_SECONDS  # after which a move is nobody's: its worker would have made it by then

logger = logging.getLogger(__name__)


class NotedRegistry(Notes, Registry, Protocol):
    """What this needs of MLflow."""


@dataclass(frozen=True)
class Aliases:
    """What the sweep of any worker does about aliases; several may do it at once."""

    store: JobStore
    registry: NotedRegistry
    time: Time = REAL_TIME

    def settle(self) -> None:
        """Do all of it, each model's on its own: one that MLflow refuses must not hold up the others."""
        for promotion in self.store.unanswered():
            survive("expire", partial(expire, self.store, promotion.id))
        for promotion in self.store.unfinished(PromotionState.MOVING, older_than_seconds=LEFT_SECONDS):
            survive("carry out", partial(self._carry_out, promotion))
        for line in self.store.moved_aliases():
            survive("look", partial(look_for_foreign, self.store, self.registry, line.model, line.alias))
        for broken in self.store.broken():
            survive("move back", partial(move_back, self.store, self.registry, broken.model))
        Noting(self.store, self.registry).catch_up()
        survive("forget observations", self._forget)

    def _forget(self) -> None:
        if count := self.store.forget_observations(older_than_days=KEPT_DAYS, most=MOST_KEPT):
            logger.info("deleted old observations", extra={"count": count})

    def _carry_out(self, promotion: Promotion) -> None:
        with suppress(MoveUnderWay):  # another sweep does so just now
            carry_out(self.store, self.registry, promotion, by=self.time)
