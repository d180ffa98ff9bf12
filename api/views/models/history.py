"""GET /models…: which models there are, who is champion, and who was when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from api.access.authorisation import team_seen
from api.access.finding import require_model
from api.http.errors import ChampionUnknown, ModelVersionNotFound, RegistryUnavailable
from api.http.models import AnswerBody, NoQuery, Query
from api.model_registry import ModelVersion, RegisteredModel
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.paging import next_history
from api.services import services
from api.views.jobs.listing import Time
from api.views.models.champion import ModelPath
from mypackage.protocol import CHAMPION, JOB_TAG, PREVIOUS
from shared.access.roles import Right
from shared.jobs.observations import UnderWay
from shared.jobs.promotions import Event, HistoryLine, Kind
from shared.requests.texts import Direction

MOST_VERSIONS = 50


class Probation(AnswerBody):
    """What the champion must prove in use, or the version before it becomes champion again."""

    until: datetime
    since: datetime
    metric: str
    direction: Direction = Field(description="Which values of it are better.")
    max_worsening: float = Field(description="By how much an observation may be worse than the reference.")
    reference: float | None = Field(
        description="The gate's value or, for another metric, the mean of what was observed of the version before. "
        "null if there is none: then nothing is judged."
    )
    bound: float | None = Field(description="The worst value with which the champion stays.")
    before: str | None = Field(description="The version to go back to; null for none.")
    observations: int = Field(description="Of the metric, since then.")
    broken: int = Field(description="How many of these were worse than the bound.")
    promotion_id: str


class ModelSummary(AnswerBody):
    """A registered model."""

    name: str
    champion: str | None = Field(description="The version with the alias champion; null for none.")
    aliases: Mapping[str, str] = Field(description="Which version has which alias, in MLflow, now.")
    probation: Probation | None = Field(description="The champion's, while it lasts; null for none.")


class Models(AnswerBody):
    """All registered models, by name."""

    models: Sequence[ModelSummary]


class Version(AnswerBody):
    """A version of a model."""

    version: str
    aliases: Sequence[str]
    job_id: str | None = Field(description="The job that trained it; null if another program registered it.")
    run_id: str | None = Field(description="Its MLflow run.")
    created_at: datetime


class Model(ModelSummary):
    """A model with its newest versions."""

    previous: str | None = Field(description="The version that was champion before; null for none.")
    versions: Sequence[Version] = Field(description=f"The newest {MOST_VERSIONS}, the newest first.")


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


@operation("GET /models", Answer("The models.", Models), tag=Tag.MODELS, needs=Right.READ, raises=[RegistryUnavailable])
def list_models(query: NoQuery) -> Models:
    """List the registered models, and which version of each is champion now.

    They are MLflow's, by name, whoever made them. A champion that is on probation says until when, and how it does.
    """
    here, team = services(), team_seen()
    found, probations = here.registry.list_models(), here.store.probations()
    seen = None if team is None else here.store.models_of(team)
    return Models(models=[_summary(each, probations) for each in found if seen is None or each.name in seen])


@operation(
    "GET /models/<model>",
    Answer("The model.", Model),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ModelVersionNotFound, RegistryUnavailable],
)
def get_model(path: ModelPath, query: NoQuery) -> Model:
    """Get a model: its champion, the version before it, and its newest versions with the jobs that trained them.

    Aliases and versions are as MLflow has them now. A champion that is on probation says until when, and how it does.
    """
    registry = services().registry
    require_model(services().store, path.model)
    found = registry.find_model(path.model)
    if found is None:
        raise ModelVersionNotFound(f"There is no model '{path.model}' in MLflow. GET /models lists those that exist.")
    aliases = found.aliases
    versions = registry.list_versions(path.model, limit=MOST_VERSIONS)
    return Model(
        **_summary(found, services().store.probations(path.model)).model_dump(),
        previous=aliases.get(PREVIOUS),
        versions=[_version(each, aliases) for each in versions],
    )


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


def _summary(found: RegisteredModel, probations: Mapping[str, UnderWay]) -> ModelSummary:
    probation = _probation(probations.get(found.name))
    return ModelSummary(
        name=found.name, champion=found.aliases.get(CHAMPION), aliases=found.aliases, probation=probation
    )


def _probation(found: UnderWay | None) -> Probation | None:
    if found is None:
        return None
    rule, names = found.rule, ("until", "since", "reference", "bound", "before", "observations", "broken")
    return Probation(
        metric=rule.metric,
        direction="lower_is_better" if rule.lower_is_better else "higher_is_better",
        max_worsening=rule.max_worsening,
        promotion_id=found.promotion_id,
        **{name: getattr(found, name) for name in names},
    )


def _version(found: ModelVersion, aliases: Mapping[str, str]) -> Version:
    own: dict[str, Any] = {"version": found.version, "run_id": found.run_id, "created_at": found.created_at}
    names = [alias for alias, version in aliases.items() if version == found.version]
    return Version(**own, aliases=names, job_id=found.tags.get(JOB_TAG))
