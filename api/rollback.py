"""Another version as champion, by a person's decision: recorded on that version, and the old one kept as `previous`."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from api.http.request_ids import request_id
from api.model_registry import ModelRegistry
from mypackage.protocol import CHAMPION, PREVIOUS, ROLLBACK_TAGS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rollback:
    """What became of it. ``changed`` is False where the version was champion already."""

    model: str
    version: str
    previous_version: str | None
    reason: str
    changed: bool


def roll_back(registry: ModelRegistry, model: str, *, version: str, reason: str) -> Rollback:
    """Make the version champion. Safe to repeat after a failure at any point: the champion moves last."""
    registry.require_version(model, version)
    champion = registry.find_version(model, CHAMPION)
    if champion == version:
        return Rollback(model, version, registry.find_version(model, PREVIOUS), reason, changed=False)
    tags = {"reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds"), "request_id": request_id()}
    tags["from_version"] = champion or "none"
    registry.tag_version(model, version, {f"{ROLLBACK_TAGS}{name}": value for name, value in tags.items()})
    if champion is not None:
        registry.move_alias(model, PREVIOUS, champion)
    registry.move_alias(model, CHAMPION, version)
    facts = {"model": model, "version": version, "previous_version": champion, "reason": reason}
    logger.info("champion moved by request", extra={**facts, "request_id": request_id()})
    return Rollback(model, version, champion, reason, changed=True)
