"""Carries out a promotion: moves the alias in the registry, in an order that never leaves a model without champion.

Whoever finds a promotion that is MOVING may carry it out, again, but nobody at the same time as another: the registry
moves an alias for whoever asks, so one that is slow would take it from a later champion.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from shared.errors import PromotionSettled, StoreUnavailable
from shared.jobs.promotion_store import Promotions
from shared.jobs.promotions import (
    ChampionMoved,
    Event,
    Kind,
    MoveUnderWay,
    NewPromotion,
    Promotion,
    PromotionState,
)

MOST_ROUNDS = 100  # of one decision, while others move the same alias
WAIT_SECONDS, PAUSE_SECONDS = 5, 0.1  # while another carries out a move
# How long who has begun a move is alone with it, and until when it may still ask for it: MLflow may answer late.
MOVE_SECONDS, ASK_SECONDS = 60, 15
UNKNOWN = "unknown"  # who moved an alias in MLflow itself
NOBODY = "nobody"  # whose answer an expiry is
FOREIGN = "somebody moved the alias in MLflow, or did so before this history began"

logger = logging.getLogger(__name__)


class CannotMove(Exception):
    """The registry refuses the move for good: there is no such version, or no alias may have this name."""


class Registry(Protocol):
    """What this needs of a model registry; each method may raise that it does not answer."""

    def find_version(self, model: str, alias: str) -> str | None:
        """Return the version that has the alias."""

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Give the alias to this version; raise CannotMove."""

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of the version."""


Step = Callable[[int, str | None], Promotion]


@dataclass(frozen=True)
class Time:
    """A machine's seconds, and how to let some pass; a simulation has its own."""

    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], object] = time.sleep


REAL_TIME = Time()


def settle(
    store: Promotions, registry: Registry, model: str, alias: str, step: Step, *, by: Time = REAL_TIME
) -> Promotion | None:
    """Return the promotion that ``step`` records, carried out; None if others keep moving the alias, or take very long.

    The step gets the alias's last event and its holder. It is called again whenever others moved the alias meanwhile.
    The promotion is still MOVING if somebody else has begun to carry it out, and is at it or gone.
    """
    for _ in range(MOST_ROUNDS):
        seen, holder = store.last_event(model, alias), registry.find_version(model, alias)
        try:
            if note_foreign(store, model, alias, holder, seen=seen):
                continue
            promotion = step(seen, holder)
        except ChampionMoved:
            continue
        except MoveUnderWay as other:  # whoever began it may be gone
            if see_through(store, registry, other.promotion, by=by).state is PromotionState.MOVING:
                return None
            continue
        if promotion.state is PromotionState.MOVING:
            promotion = see_through(store, registry, promotion, by=by)
        if promotion.state is not PromotionState.OVERTAKEN:
            return promotion
    return None


def see_through(store: Promotions, registry: Registry, promotion: Promotion, *, by: Time = REAL_TIME) -> Promotion:
    """Carry it out, or wait for whoever does; not for ever, because that one may be gone."""
    until = by.clock() + WAIT_SECONDS
    while True:
        try:
            return carry_out(store, registry, promotion, by=by)
        except MoveUnderWay:  # or MLflow took so long that it has to be begun again
            if by.clock() >= until:
                return promotion
            by.pause(PAUSE_SECONDS)


def carry_out(store: Promotions, registry: Registry, promotion: Promotion, *, by: Time = REAL_TIME) -> Promotion:
    """Move the aliases and record it; return the promotion as it is then. Raise MoveUnderWay if another does so now.

    It is OVERTAKEN if somebody moved the alias by hand, and IMPOSSIBLE if the registry refuses for good.
    """
    until = by.clock() + ASK_SECONDS
    begun = store.begin_move(promotion.id, seconds=MOVE_SECONDS)
    if begun.state is not PromotionState.MOVING:
        return begun
    with _given_back_if_it_fails(store, begun):
        return _carry_out(store, registry, begun, lambda: _require_time(by.clock() < until, begun))


def _carry_out(store: Promotions, registry: Registry, begun: Promotion, check: Callable[[], None]) -> Promotion:
    model, alias, version = begun.model, begun.alias, begun.version
    holder = registry.find_version(model, alias)
    if holder not in (begun.before, version):
        _end(store, begun, PromotionState.OVERTAKEN, f"version {holder or 'none'} has the alias '{alias}' by now")
        look_for_foreign(store, registry, model, alias)
        return store.get_promotion(begun.id)
    if holder != version:
        try:
            _move(registry, begun, check)
        except CannotMove as error:
            _end(store, begun, PromotionState.IMPOSSIBLE, f"not promoted: {error}")
            return store.get_promotion(begun.id)
    done = store.carried_out(begun.id)
    logger.info("alias moved", extra={"model": model, "alias": alias, "version": version, "before": begun.before})
    return done


def expire(store: Promotions, promotion_id: str) -> None:
    """End a wait for approval whose time is up, unless somebody answered just now."""
    with suppress(PromotionSettled):
        reason = "nobody approved it in time"
        store.settle(promotion_id, PromotionState.EXPIRED, event=Event.EXPIRED, actor=NOBODY, reason=reason)


@contextmanager
def _given_back_if_it_fails(store: Promotions, begun: Promotion) -> Iterator[None]:
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if not is_done:
            with suppress(StoreUnavailable):  # then others wait
                store.end_move(begun)


def _require_time(is_left: bool, begun: Promotion) -> None:
    """Leave a move that took very long to be begun again: by the time MLflow has made it, another may be at it."""
    if not is_left:
        raise MoveUnderWay(begun)


def note_foreign(store: Promotions, model: str, alias: str, holder: str | None, *, seen: int) -> bool:
    """Record who has the alias now, unless that is known; return whether it was not.

    ``seen`` is the alias's last event before the ``holder`` was looked up. Raises MoveUnderWay: then it may be that.
    """
    last = store.champion_at(model, alias)
    before = last.version if last else None
    if holder == before:
        return False
    new = NewPromotion(model, alias, Kind.FOREIGN, holder, before, PromotionState.PROMOTED, UNKNOWN, FOREIGN)
    with suppress(ChampionMoved):  # something happened since: whoever did that looks, too
        store.propose(new, seen=seen)
    return True


def look_for_foreign(store: Promotions, registry: Registry, model: str, alias: str) -> None:
    """Record a move that somebody made in MLflow, if there was one."""
    seen = store.last_event(model, alias)
    with suppress(MoveUnderWay):
        note_foreign(store, model, alias, registry.find_version(model, alias), seen=seen)


def _move(registry: Registry, begun: Promotion, check: Callable[[], None]) -> None:
    """Move the alias last: until then, the model has its champion."""
    if begun.before is not None:
        check()
        registry.move_alias(begun.model, begun.previous_alias, begun.before)
    check()
    registry.move_alias(begun.model, begun.alias, str(begun.version))


def _end(store: Promotions, promotion: Promotion, state: PromotionState, reason: str) -> None:
    with suppress(PromotionSettled):  # another was faster
        store.settle(promotion.id, state, event=Event(state), actor=promotion.actor, reason=reason)
