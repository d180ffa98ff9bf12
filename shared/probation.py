"""Ends a probation that an observation broke: the version that was champion before becomes champion again.

Whoever finds such an observation may do it, again and at the same time as others.
"""

from shared.jobs.observation_store import ModelRecord
from shared.jobs.observations import Observation
from shared.jobs.promotions import CHAMPION, Kind, NewPromotion, Promotion, PromotionState
from shared.promoting import Registry, look_for_foreign, see_through, settle

ACTOR = "probation"


class _NothingBroken(Exception):
    """The champion was moved meanwhile: an old probation moves nothing."""


def find_champion(store: ModelRecord, registry: Registry, model: str) -> str | None:
    """Return the champion, once a move that somebody left is carried out, and one by hand is noted."""
    for promotion in store.unfinished(PromotionState.MOVING):
        if (promotion.model, promotion.alias) == (model, CHAMPION):
            see_through(store, registry, promotion)
    look_for_foreign(store, registry, model, CHAMPION)
    last = store.champion_at(model, CHAMPION)
    return last.version if last else None


def move_back(store: ModelRecord, registry: Registry, model: str) -> Promotion | None:
    """Return the move back, carried out; None if nothing is broken (any more), or the alias keeps moving."""

    def step(seen: int, holder: str | None) -> Promotion:
        found = store.broken(model)
        if not found:
            raise _NothingBroken
        return store.propose(_undone(store, found[0], holder), seen=seen)

    try:
        return settle(store, registry, model, CHAMPION, step)
    except _NothingBroken:
        return None


def _undone(store: ModelRecord, broken: Observation, holder: str | None) -> NewPromotion:
    begun = store.get_promotion(str(broken.promotion_id))
    return NewPromotion(
        model=broken.model,
        alias=CHAMPION,
        kind=Kind.PROBATION,
        version=begun.before,
        before=holder,
        state=PromotionState.MOVING,
        actor=f"{ACTOR} (observed by {broken.actor})",
        reason=f"version {broken.version} broke its probation: {broken.reason} (at {broken.at.isoformat()}, "
        f"n {broken.n})",
        facts={"observation": broken.number, "promotion": begun.id},
    )
