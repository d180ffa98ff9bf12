"""POST and GET /models/<name>/observations: what monitoring reports about a champion in use."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt

from api.access.authorisation import current_caller
from api.access.finding import require_model
from api.http.errors import ModelVersionNotFound, RegistryUnavailable
from api.http.models import AnswerBody, Query, RequestBody
from api.observing import observe
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.paging import next_history
from api.services import services
from api.views.jobs.listing import Time
from api.views.models.champion import ModelPath, VersionNumber
from shared.access.roles import Right
from shared.errors import NotChampion, ObservationRefused
from shared.jobs.observations import LARGEST, NewObservation, Verdict
from shared.requests.texts import Metric


def _require_text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("is not an RFC 3339 time, such as 2026-01-31T12:00:00Z")
    return value


Moment = Annotated[Time, BeforeValidator(_require_text)]


class ObservationRequest(RequestBody):
    """A value that the champion has in use."""

    metric: Metric = Field(description="What was measured.", examples=["accuracy"])
    value: Annotated[StrictFloat, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)] = Field(examples=[0.91])
    version: VersionNumber | None = Field(
        None,
        description="The version that was measured; also as a number. null for the champion of that time.",
    )
    at: Moment | None = Field(None, description="When it was measured, an RFC 3339 time; null for now.")
    n: Annotated[StrictInt, Field(ge=1, le=10**9)] = Field(1, description="How many examples it was measured on.")


class Observation(AnswerBody):
    """A recorded observation, and what it means for the champion's probation."""

    number: int = Field(description="Grows with every observation of any model.")
    version: str
    metric: str
    value: float
    n: int
    at: datetime
    received_at: datetime
    actor: str = Field(description="Who sent it.")
    verdict: Verdict = Field(description="broken: worse than the probation allows.")
    reason: str = Field(description="The numbers, or why it was not judged.")
    promotion_id: str | None = Field(description="The promotion whose probation judged it; null if not judged.")


class Observed(Observation):
    """A recorded observation, and who is champion now."""

    champion: str | None = Field(description="The version before, if this observation made it champion again.")


class Observations(AnswerBody):
    """A page of a model's observations, the newest first."""

    observations: Sequence[Observation]
    next: str | None = Field(description="The next page; null on the last one.")


class ObservationsQuery(Query):
    """Which observations."""

    version: str | None = Field(None, min_length=1, max_length=20, description="Only those of this version.")
    metric: str | None = Field(None, min_length=1, max_length=250, description="Only those of this metric.")
    limit: int = Field(50, ge=1, le=200, description="Observations on a page.")
    before: int | None = Field(None, ge=1, le=2**53, description="Only observations with smaller numbers.")


@operation(
    "POST /models/<model>/observations",
    Answer("The observation.", Observed),
    tag=Tag.MODELS,
    needs=Right.OPERATE,
    raises=[ModelVersionNotFound, NotChampion, ObservationRefused, RegistryUnavailable],
)
def add_observation(path: ModelPath, body: ObservationRequest) -> Observed:
    """Report how the champion does in use, from monitoring.

    While the champion is on probation (`promotion.probation` of its job), a value that is worse than allowed makes the
    version before it champion again. `verdict` and `reason` say what the observation means.

    The same version, metric and time twice is one observation, so it is safe to repeat.
    """
    here, new = services(), NewObservation(path.model, actor=current_caller().name, **body.model_dump())
    require_model(here.store, path.model)
    done = observe(here.store, here.registry, new)
    return Observed(**Observation.model_validate(done.observation).model_dump(), champion=done.champion)


@operation(
    "GET /models/<model>/observations",
    Answer("A page of observations.", Observations),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ModelVersionNotFound],
)
def list_observations(path: ModelPath, query: ObservationsQuery) -> Observations:
    """List what was reported about a model's champions, and what each report meant.

    Observations are kept for 90 days, and the newest 100,000 of each version.
    """
    store = services().store
    require_model(store, path.model)
    found = store.observations(
        path.model, version=query.version, metric=query.metric, limit=query.limit + 1, before_number=query.before
    )
    page = found[: query.limit]
    following = next_history(page[-1].number) if len(found) > len(page) else None
    return Observations(observations=[Observation.model_validate(each) for each in page], next=following)
