"""GET /promotions/<id>, and a person's answer to one that waits for approval."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.approval import approve, reject
from api.http.errors import RegistryUnavailable
from api.http.models import AnswerBody, NoQuery, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from shared.access.roles import Right
from shared.errors import PromotionNotFound, PromotionSettled
from shared.jobs.promotions import Kind, PromotionState
from shared.requests.texts import Text


class PromotionPath(BaseModel):
    """Which promotion."""

    promotion_id: str = Field(description="The id, from promotion.id of a job, or from a model's history.")


class PromotionAnswer(AnswerBody):
    """A version that was to have an alias, and what became of it."""

    id: str
    model: str
    alias: str
    version: str | None
    before: str | None = Field(description="The version that had the alias when it was decided.")
    kind: Kind
    state: PromotionState
    actor: str
    reason: str
    job_id: str | None
    decision: Mapping[str, Any] = Field(description="As promotion in GET /jobs/<id>.")
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None = Field(description="Until when it waits for approval.")


class ApprovalRequest(RequestBody):
    """Why it may become champion."""

    reason: Annotated[Text, Field(max_length=500)] = Field("", description="Why, for those who ask later.")


class RejectionRequest(RequestBody):
    """Why it may not."""

    reason: Annotated[Text, Field(min_length=1, max_length=500)] = Field(description="Why, for those who ask later.")


PROMOTION = Answer("The promotion.", PromotionAnswer)


@operation("GET /promotions/<promotion_id>", PROMOTION, tag=Tag.MODELS, needs=Right.READ, raises=[PromotionNotFound])
def get_promotion(path: PromotionPath, query: NoQuery) -> PromotionAnswer:
    """Get what was decided about a version, and what became of that.

    The numbers and rules that decided are in `decision`.
    """
    return PromotionAnswer.model_validate(services().store.get_promotion(path.promotion_id))


@operation(
    "POST /promotions/<promotion_id>/approve",
    PROMOTION,
    tag=Tag.MODELS,
    needs=Right.APPROVE,
    raises=[PromotionNotFound, PromotionSettled, RegistryUnavailable],
)
def approve_promotion(path: PromotionPath, body: ApprovalRequest) -> PromotionAnswer:
    """Let a version that waits for approval become champion.

    If another version became champion meanwhile, it is compared with that one, by the same rules and the logged
    values, and may not be promoted: see `state` and `reason`. Of two answers at the same time, one counts.
    """
    here = services()
    return PromotionAnswer.model_validate(approve(here.store, here.registry, path.promotion_id, reason=body.reason))


@operation(
    "POST /promotions/<promotion_id>/reject",
    PROMOTION,
    tag=Tag.MODELS,
    needs=Right.APPROVE,
    raises=[PromotionNotFound, PromotionSettled],
)
def reject_promotion(path: PromotionPath, body: RejectionRequest) -> PromotionAnswer:
    """Refuse a version that waits for approval.

    It stays registered, without the alias.
    """
    return PromotionAnswer.model_validate(reject(services().store, path.promotion_id, reason=body.reason))
