"""GET /models/<name>/history and …/champion: what was decided, and who was champion when."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from api.access.finding import require_model
from api.http.errors import ChampionUnknown, ModelVersionNotFound
from api.http.models import AnswerBody, Query
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.paging import next_history
from api.services import services
from api.views.jobs.listing import Time
from api.views.models.champion import ModelPath
from mypackage.protocol import CHAMPION
from shared.access.roles import Right
from shared.jobs.promotions import Event, HistoryLine, Kind


class HistoryEvent(AnswerBody):
    """One event of a model's history; it is never changed."""

    number: int = Field(description="Grows with every event of any model.")
    at: datetime
    alias: str
    event: Event = Field(description="After moved, the version has the alias.")
    kind: Kind = Field(description="What wanted the alias to move; foreign: somebody, in MLflow itself.")
    version: str | None
    before: str | None = Field(description="The version that had the alias before.")
    actor: str = Field(description="Who: a job, a person, or unknown.")
    reason: str
    job_id: str | None
    promotion_id: str


class History(AnswerBody):
    """A page of a model's history, the newest event first."""

    events: Sequence[HistoryEvent]
    next: str | None = Field(description="The next page; null on the last one.")


class ChampionThen(HistoryEvent):
    """Who had the alias at a time: the move that gave it to this version."""

    model: str


class HistoryQuery(Query):
    """Which events."""

    alias: str | None = Field(None, min_length=1, max_length=256, description="Only those of this alias.")
    limit: int = Field(50, ge=1, le=200, description="Events on a page.")
    before: int | None = Field(None, ge=1, le=2**53, description="Only events with smaller numbers.")


class ChampionQuery(Query):
    """When, and which alias."""

    at: Time | None = Field(None, description="An RFC 3339 time; by default now.")
    alias: str = Field(CHAMPION, min_length=1, max_length=256, description="The alias.")


@operation(
    "GET /models/<model>/history",
    Answer("A page of events.", History),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ModelVersionNotFound],
)
def get_history(path: ModelPath, query: HistoryQuery) -> History:
    """Get what was decided about a model's versions, and every move of an alias: when, by whom, and why.

    A move that somebody made in MLflow itself is there as soon as it was noticed, as kind `foreign`.
    """
    store = services().store
    require_model(store, path.model)
    found = store.history(path.model, alias=query.alias, limit=query.limit + 1, before_number=query.before)
    page = found[: query.limit]
    following = next_history(page[-1].number) if len(found) > len(page) else None
    return History(events=[HistoryEvent.model_validate(each) for each in page], next=following)


@operation(
    "GET /models/<model>/champion",
    Answer("The move.", ChampionThen),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ChampionUnknown, ModelVersionNotFound],
)
def get_champion(path: ModelPath, query: ChampionQuery) -> ChampionThen:
    """Get who was champion at a time, since when, and what for.

    The answer is the event of the history with which that version got the alias.
    """
    store = services().store
    require_model(store, path.model)
    found = store.champion_at(path.model, query.alias, query.at)
    if found is None or found.version is None:
        raise ChampionUnknown(_unknown(path.model, query, found))
    return ChampionThen.model_validate(found)


def _unknown(model: str, query: ChampionQuery, found: HistoryLine | None) -> str:
    when = f"at {query.at.isoformat()}" if query.at else "now"
    why = "nobody had it" if found else "this service's history has no move of it until then"
    return f"No version of '{model}' is known to have had the alias '{query.alias}' {when}: {why}."
