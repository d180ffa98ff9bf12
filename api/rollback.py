"""Makes another version champion on a person's request, records that on it, and keeps the old one as `previous`."""

import logging
from datetime import UTC, datetime

from pydantic import Field

from api.http.errors import RegistryUnavailable
from api.http.models import AnswerBody
from api.http.request_ids import request_id
from api.model_registry import ModelRegistry
from mypackage.protocol import CHAMPION, PREVIOUS, ROLLBACK_TAGS
from shared.errors import NotChampion
from shared.jobs.promotion_store import Promotions
from shared.jobs.promotions import Kind, NewPromotion, Promotion, PromotionState
from shared.promoting import look_for_foreign, settle

logger = logging.getLogger(__name__)


class Champion(AnswerBody):
    """A model's champion, as a person decided."""

    model: str
    version: str
    previous_version: str | None = Field(description="The version with the alias previous; null for none.")
    reason: str
    changed: bool = Field(description="false when this version was champion already.")


def roll_back(
    store: Promotions,
    registry: ModelRegistry,
    model: str,
    *,
    version: str,
    actor: str,
    reason: str,
    instead_of: str | None = None,
) -> Champion:
    """Make the version champion. Safe to repeat after a failure at any point: the champion moves last.

    Raise NotChampion if another version than ``instead_of`` is champion by then.
    """
    registry.require_version(model, version)
    champion = registry.find_version(model, CHAMPION)
    if champion == version:
        look_for_foreign(store, registry, model, CHAMPION)
        previous = registry.find_version(model, PREVIOUS)
        return Champion(model=model, version=version, previous_version=previous, reason=reason, changed=False)

    def step(seen: int, holder: str | None) -> Promotion:
        if holder == version and (last := store.champion_at(model, CHAMPION)):  # an earlier request's move, made now
            return store.get_promotion(last.promotion_id)
        _require_holder(model, holder, instead_of)
        _tag(registry, model, version, holder, reason)
        new = NewPromotion(model, CHAMPION, Kind.ROLLBACK, version, holder, PromotionState.MOVING, actor, reason)
        return store.propose(new, seen=seen)

    done = settle(store, registry, model, CHAMPION, step)
    if done is None or done.state is not PromotionState.PROMOTED:
        raise RegistryUnavailable(f"The champion of {model} keeps moving, or version {version} has just gone.")
    facts = {"model": model, "version": version, "previous_version": champion, "reason": reason}
    logger.info("champion moved by request", extra={**facts, "request_id": request_id()})
    return Champion(**facts, changed=True)


def _require_holder(model: str, holder: str | None, wanted: str | None) -> None:
    if wanted is not None and holder != wanted:
        now = f"version {holder} is" if holder else "none is"
        message = f"Version {wanted} of '{model}' is not the champion any more: {now}. Nothing was done."
        raise NotChampion(message, champion=holder)


def _tag(registry: ModelRegistry, model: str, version: str, champion: str | None, reason: str) -> None:
    tags = {"reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds"), "request_id": request_id()}
    tags["from_version"] = champion or "none"
    registry.tag_version(model, version, {f"{ROLLBACK_TAGS}{name}": value for name, value in tags.items()})
