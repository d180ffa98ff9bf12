"""Keeps the record of champions true, and MLflow: finishes moves that were left, notes those made by hand."""

import logging
from collections.abc import Callable, Iterable
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
MOST_FAILING_SECONDS = 30  # of one round

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
        store, registry, noting = self.store, self.registry, Noting(self.store, self.registry)
        survive("forget observations", self._forget)
        for promotion in store.unanswered():
            survive("expire", partial(expire, store, promotion.id))
        tries = _Tries(self.time)
        left = store.unfinished(PromotionState.MOVING, older_than_seconds=LEFT_SECONDS)
        tries.each("carry out", (partial(self._carry_out, each) for each in left))
        moved = store.moved_aliases()
        tries.each("look", (partial(look_for_foreign, store, registry, each.model, each.alias) for each in moved))
        tries.each("move back", (partial(move_back, store, registry, each.model) for each in store.broken()))
        tries.each("note", (partial(noting.note_late, each) for each in store.unnoted()))

    def _forget(self) -> None:
        if count := self.store.forget_observations(older_than_days=KEPT_DAYS, most=MOST_KEPT):
            logger.info("deleted old observations", extra={"count": count})

    def _carry_out(self, promotion: Promotion) -> None:
        with suppress(MoveUnderWay):  # another sweep does so just now
            carry_out(self.store, self.registry, promotion, by=self.time)


@dataclass
class _Tries:
    """What one round asks MLflow. If that takes long to fail, the rest is left to the next round.

    The sweep has more to do: it takes over the trainings of killed workers.
    """

    time: Time
    failed_seconds: float = 0.0

    def each(self, name: str, calls: Iterable[Callable[[], object]]) -> None:
        """Make the calls, until failed ones took too long."""
        for call in calls:
            if self.failed_seconds > MOST_FAILING_SECONDS:
                logger.warning("left to the next round", extra={"step": name})
                return
            began = self.time.clock()
            if not survive(name, partial(_done, call)):
                self.failed_seconds += self.time.clock() - began


def _done(call: Callable[[], object]) -> bool:
    call()
    return True
