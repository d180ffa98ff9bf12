"""Carries out a promotion: moves the alias in the registry, in an order that never leaves a model without champion.

Whoever finds a promotion that is MOVING may carry it out, again and at the same time as others.
"""

import logging
from collections.abc import Mapping
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

UNKNOWN = "unknown"  # who moved an alias in MLflow itself
FOREIGN = "somebody moved the alias in MLflow, or did so before this history began"

logger = logging.getLogger(__name__)


class Registry(Protocol):
    """What this needs of a model registry; each method may raise that it does not answer."""

    def find_version(self, model: str, alias: str) -> str | None:
        """Return the version that has the alias."""

    def move_alias(self, model: str, alias: str, version: str) -> None:
        """Give the alias to this version."""

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of the version."""


def carry_out(store: Promotions, registry: Registry, promotion: Promotion) -> Promotion:
    """Move the aliases and record it; return the promotion as it is then, OVERTAKEN if somebody moved them by hand."""
    assert promotion.version is not None  # noqa: S101 - only a registered version is ever MOVING
    model, alias, version = promotion.model, promotion.alias, promotion.version
    holder = registry.find_version(model, alias)
    if holder not in (promotion.before, version):
        return _overtaken(store, registry, promotion, holder)
    if holder != version:
        if store.get_promotion(promotion.id).state is not PromotionState.MOVING:  # another was faster, and went on
            return store.get_promotion(promotion.id)
        if promotion.before is not None:
            registry.move_alias(model, promotion.previous_alias, promotion.before)
        registry.move_alias(model, alias, version)
    done = store.carried_out(promotion.id)
    _undo_if_late(store, registry, done)
    logger.info("alias moved", extra={"model": model, "alias": alias, "version": version, "before": promotion.before})
    return done


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


def look_for_foreign(store: Promotions, registry: Registry, model: str, alias: str) -> bool:
    """Record a move that somebody made in MLflow; return whether there was one."""
    seen = store.last_event(model, alias)
    with suppress(MoveUnderWay):
        return note_foreign(store, model, alias, registry.find_version(model, alias), seen=seen)
    return False


def _overtaken(store: Promotions, registry: Registry, promotion: Promotion, holder: str | None) -> Promotion:
    reason = f"version {holder or 'none'} has the alias '{promotion.alias}' now, which was not the service's doing"
    with suppress(PromotionSettled):
        store.settle(
            promotion.id, PromotionState.OVERTAKEN, event=Event.OVERTAKEN, actor=promotion.actor, reason=reason
        )
    look_for_foreign(store, registry, promotion.model, promotion.alias)
    return store.get_promotion(promotion.id)


def _undo_if_late(store: Promotions, registry: Registry, done: Promotion) -> None:
    """Put the last champion back if we were slow, and another carried this out and a later one since."""
    last = store.champion_at(done.model, done.alias)
    if last is not None and last.promotion_id != done.id and last.version is not None and last.version != done.version:
        registry.move_alias(done.model, done.alias, last.version)
