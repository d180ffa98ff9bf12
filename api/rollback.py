"""Makes another version champion on a person's request, records that on it, and keeps the old one as `previous`."""

import logging
from datetime import UTC, datetime

from pydantic import Field

from api.http.models import AnswerBody
from api.http.request_ids import request_id
from api.model_registry import ModelRegistry
from mypackage.protocol import CHAMPION, PREVIOUS, ROLLBACK_TAGS

logger = logging.getLogger(__name__)


class Champion(AnswerBody):
    """A model's champion, as a person decided."""

    model: str
    version: str
    previous_version: str | None = Field(description="The version with the alias previous; null for none.")
    reason: str
    changed: bool = Field(description="false when this version was champion already.")


def roll_back(registry: ModelRegistry, model: str, *, version: str, reason: str) -> Champion:
    """Make the version champion. Safe to repeat after a failure at any point: the champion moves last."""
    registry.require_version(model, version)
    champion = registry.find_version(model, CHAMPION)
    if champion == version:
        return Champion(
            model=model,
            version=version,
            previous_version=registry.find_version(model, PREVIOUS),
            reason=reason,
            changed=False,
        )
    tags = {"reason": reason, "at": datetime.now(UTC).isoformat(timespec="seconds"), "request_id": request_id()}
    tags["from_version"] = champion or "none"
    registry.tag_version(model, version, {f"{ROLLBACK_TAGS}{name}": value for name, value in tags.items()})
    if champion is not None:
        registry.move_alias(model, PREVIOUS, champion)
    registry.move_alias(model, CHAMPION, version)
    facts = {"model": model, "version": version, "previous_version": champion, "reason": reason}
    logger.info("champion moved by request", extra={**facts, "request_id": request_id()})
    return Champion(model=model, version=version, previous_version=champion, reason=reason, changed=True)
