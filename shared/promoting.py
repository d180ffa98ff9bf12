"""Carries out a promotion: moves the alias in the registry, in an order that never leaves a model without champion.

Whoever finds a promotion that is MOVING may carry it out, again and at the same time as others.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from shared.errors import PromotionSettled
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


def settle(store: Promotions, registry: Registry, model: str, alias: str, step: Step) -> Promotion | None:
    """Return the promotion that ``step`` records, carried out; None if the alias keeps moving all the time.

    The step gets the alias's last event and its holder. It is called again whenever others moved the alias meanwhile.
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
            carry_out(store, registry, other.promotion)
            continue
        if promotion.state is PromotionState.MOVING:
            promotion = carry_out(store, registry, promotion)
        if promotion.state is not PromotionState.OVERTAKEN:
            return promotion
    return None


def carry_out(store: Promotions, registry: Registry, promotion: Promotion) -> Promotion:
    """Move the aliases and record it; return the promotion as it is then.

    It is OVERTAKEN if somebody moved the alias by hand, and IMPOSSIBLE if the registry refuses for good.
    """
    assert promotion.version is not None  # noqa: S101 - only a registered version is ever MOVING
    model, alias, version = promotion.model, promotion.alias, promotion.version
    holder = registry.find_version(model, alias)
    if holder not in (promotion.before, version):
        _end(store, promotion, PromotionState.OVERTAKEN, f"version {holder or 'none'} has the alias '{alias}' by now")
        look_for_foreign(store, registry, model, alias)
        return store.get_promotion(promotion.id)
    if holder != version:
        if (now := store.get_promotion(promotion.id)).state is not PromotionState.MOVING:
            return now  # another was faster, and went on
        try:
            _move(registry, promotion)
        except CannotMove as error:
            _end(store, promotion, PromotionState.IMPOSSIBLE, f"not promoted: {error}")
            return store.get_promotion(promotion.id)
    done = store.carried_out(promotion.id)
    _undo_if_late(store, registry, done)
    logger.info("alias moved", extra={"model": model, "alias": alias, "version": version, "before": promotion.before})
    return done


def expire(store: Promotions, promotion_id: str) -> None:
    """End a wait for approval whose time is up, unless somebody answered just now."""
    with suppress(PromotionSettled):
        reason = "nobody approved it in time"
        store.settle(promotion_id, PromotionState.EXPIRED, event=Event.EXPIRED, actor=NOBODY, reason=reason)


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


def _move(registry: Registry, promotion: Promotion) -> None:
    """Move the alias last: until then, the model has its champion."""
    if promotion.before is not None:
        registry.move_alias(promotion.model, promotion.previous_alias, promotion.before)
    registry.move_alias(promotion.model, promotion.alias, str(promotion.version))


def _end(store: Promotions, promotion: Promotion, state: PromotionState, reason: str) -> None:
    with suppress(PromotionSettled):  # another was faster
        store.settle(promotion.id, state, event=Event(state), actor=promotion.actor, reason=reason)


def _undo_if_late(store: Promotions, registry: Registry, done: Promotion) -> None:
    """Put the last champion back if we were slow, and another carried this out and a later one since."""
    last = store.champion_at(done.model, done.alias)
    if last is not None and last.promotion_id != done.id and last.version not in (None, done.version):
        with suppress(CannotMove):
            registry.move_alias(done.model, done.alias, str(last.version))
