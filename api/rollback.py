"""Makes another version champion on a person's request, records that on it, and keeps the old one as `previous`."""

import logging
from datetime import UTC, datetime

from pydantic import Field

from api.http.errors import RegistryUnavailable
from api.http.models import AnswerBody
from api.http.request_ids import request_id
from api.model_registry import ModelRegistry
from mypackage.protocol import CHAMPION, PREVIOUS, ROLLBACK_TAGS
from shared.jobs.promotion_store import Promotions
from shared.jobs.promotions import ChampionMoved, Kind, MoveUnderWay, NewPromotion, PromotionState
from shared.promoting import carry_out, look_for_foreign

ACTOR = "api"  # until callers have names
MOST_ROUNDS = 20

logger = logging.getLogger(__name__)


class Champion(AnswerBody):
    """A model's champion, as a person decided."""

    model: str
    version: str
    previous_version: str | None = Field(description="The version with the alias previous; null for none.")
    reason: str
    changed: bool = Field(description="false when this version was champion already.")


def roll_back(store: Promotions, registry: ModelRegistry, model: str, *, version: str, reason: str) -> Champion:
    """Make the version champion. Safe to repeat after a failure at any point: the champion moves last."""
    registry.require_version(model, version)
    look_for_foreign(store, registry, model, CHAMPION)
    for _ in range(MOST_ROUNDS):
        seen, champion = store.last_event(model, CHAMPION), registry.find_version(model, CHAMPION)
        if champion == version:
            break
        _tag(registry, model, version, champion, reason)
        new = NewPromotion(model, CHAMPION, Kind.ROLLBACK, version, champion, PromotionState.MOVING, ACTOR, reason)
        try:
            promotion = store.propose(new, seen=seen)
        except ChampionMoved:
            continue
        except MoveUnderWay as other:  # whoever began it may be gone, or this request was sent before
            promotion = other.promotion
        done = carry_out(store, registry, promotion)
        if (done.kind, done.version, done.state) == (Kind.ROLLBACK, version, PromotionState.PROMOTED):
            facts = {"model": model, "version": version, "previous_version": done.before, "reason": reason}
            logger.info("champion moved by request", extra={**facts, "request_id": request_id()})
            return Champion(**facts, changed=True)
    return _unchanged(registry, model, version, reason)


def _tag(registry: ModelRegistry, model: str, version: str, champion: str | None, reason: str) -> None:
    tags = {"reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds"), "request_id": request_id()}
    tags["from_version"] = champion or "none"
    registry.tag_version(model, version, {f"{ROLLBACK_TAGS}{name}": value for name, value in tags.items()})


def _unchanged(registry: ModelRegistry, model: str, version: str, reason: str) -> Champion:
    if registry.find_version(model, CHAMPION) != version:
        raise RegistryUnavailable(f"The champion of {model} keeps moving.")
    previous = registry.find_version(model, PREVIOUS)
    return Champion(model=model, version=version, previous_version=previous, reason=reason, changed=False)
