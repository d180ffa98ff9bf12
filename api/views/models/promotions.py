"""GET /promotions/<id>, and a person's answer to one that waits for approval."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.access.authorisation import current_caller
from api.access.finding import find_promotion
from api.approval import approve, reject
from api.http.errors import RegistryUnavailable
from api.http.models import AnswerBody, NoQuery, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from api.views.models.history import HistoryEvent
from shared.access.roles import Right
from shared.errors import JobNotFound, PromotionNotFound, PromotionSettled
from shared.jobs.promotions import Kind, Promotion, PromotionState
from shared.jobs.store import JobStore
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
    actor: str = Field(description="Who proposed it: a job, a caller, or unknown.")
    reason: str
    job_id: str | None
    submitted_by: str | None = Field(description="The caller whose job it is; null for none, or once that is deleted.")
    team: str | None = Field(description="The team that the model belongs to; null for none.")
    decision: Mapping[str, Any] = Field(description="As promotion in GET /jobs/<id>.")
    created_at: datetime
    ended_at: datetime | None
    expires_at: datetime | None = Field(description="Until when it waits for approval.")
    events: Sequence[HistoryEvent] = Field(description="What became of it, and who said so, the oldest first.")


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
    store = services().store
    return _shown(find_promotion(store, path.promotion_id), store)


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
    here, actor = services(), current_caller().name
    find_promotion(here.store, path.promotion_id)
    done = approve(here.store, here.registry, path.promotion_id, actor=actor, reason=body.reason)
    return _shown(done, here.store)


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
    store, actor = services().store, current_caller().name
    find_promotion(store, path.promotion_id)
    return _shown(reject(store, path.promotion_id, actor=actor, reason=body.reason), store)


def _shown(promotion: Promotion, store: JobStore) -> PromotionAnswer:
    owners = {"submitted_by": _submitter(promotion.job_id, store), "team": store.team_of_model(promotion.model)}
    events = [HistoryEvent.model_validate(each) for each in store.lines_of(promotion.id)]
    return PromotionAnswer.model_validate({**vars(promotion), **owners, "events": events})


def _submitter(job_id: str | None, store: JobStore) -> str | None:
    try:
        return store.get(job_id).submitted_by if job_id is not None else None
    except JobNotFound:  # deleted since, or another program's
        return None
