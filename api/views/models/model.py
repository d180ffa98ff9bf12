"""GET /models and GET /models/<name>: which models there are, and which of their versions are champions now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from api.access.authorisation import team_seen
from api.access.finding import require_model
from api.http.errors import ModelVersionNotFound, RegistryUnavailable
from api.http.models import AnswerBody, Query
from api.model_registry import ModelVersion, RegisteredModel
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from api.views.models.champion import ModelPath
from api.views.models.history import HistoryEvent
from api.views.models.version import MOST_VERSIONS, Version, newest_decisions, told_versions
from mypackage.protocol import CHAMPION, JOB_TAG, PREVIOUS
from shared.access.roles import Right
from shared.jobs.observations import UnderWay
from shared.jobs.promotions import HistoryLine, Promotion, PromotionState
from shared.requests.texts import Direction


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


class Waiting(AnswerBody):
    """A version that waits for approval."""

    id: str = Field(description="The promotion's, to approve or reject it.")
    alias: str
    version: str | None
    reason: str = Field(description="How it compares with the champion of then.")
    job_id: str | None
    created_at: datetime
    expires_at: datetime | None = Field(description="Until when it waits.")


class ModelSummary(AnswerBody):
    """A registered model."""

    name: str
    champion: str | None = Field(description="The version with the alias champion; null for none.")
    aliases: Mapping[str, str] = Field(description="Which version has which alias, in MLflow, now.")
    probation: Probation | None = Field(description="The champion's, while it lasts; null for none.")
    waiting: Sequence[Waiting] = Field(description="What waits for approval, the oldest first.")
    last: HistoryEvent | None = Field(description="The last event of its history; null if there is none.")


class Models(AnswerBody):
    """All registered models, by name."""

    models: Sequence[ModelSummary]


class Model(ModelSummary):
    """A model with its newest versions."""

    previous: str | None = Field(description="The version that was champion before; null for none.")
    team: str | None = Field(description="The team that it belongs to; null for none.")
    versions: Sequence[Version] = Field(description=f"The newest {MOST_VERSIONS}, the newest first.")


class ModelsQuery(Query):
    """Whom to ask."""

    recorded: bool = Field(
        False,
        description="true for what this service has recorded itself, also while MLflow does not answer: of models "
        "about which it has decided something, the aliases as they were when it last saw them.",
    )


@operation("GET /models", Answer("The models.", Models), tag=Tag.MODELS, needs=Right.READ, raises=[RegistryUnavailable])
def list_models(query: ModelsQuery) -> Models:
    """List the registered models, and which version of each is champion now.

    They are MLflow's, by name, whoever made them. A champion that is on probation says until when, and how it does.
    """
    here, team = services(), team_seen()
    found = _recorded_models() if query.recorded else here.registry.list_models()
    seen = None if team is None else here.store.models_of(team)
    facts = _Facts.read()
    return Models(models=[ModelSummary(**facts.of(each)) for each in found if seen is None or each.name in seen])


@operation(
    "GET /models/<model>",
    Answer("The model.", Model),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ModelVersionNotFound, RegistryUnavailable],
)
def get_model(path: ModelPath, query: ModelsQuery) -> Model:
    """Get a model: its champion, the version before it, and its newest versions with what made them.

    Aliases and versions are as MLflow has them now. A champion that is on probation says until when, and how it does.
    """
    store = services().store
    require_model(store, path.model)
    decided = newest_decisions(path.model)
    found = _recorded_model(path.model) if query.recorded else services().registry.find_model(path.model)
    if found is None:
        raise ModelVersionNotFound(f"There is no model '{path.model}' in MLflow. GET /models lists those that exist.")
    versions = (
        _recorded_versions(decided)
        if query.recorded
        else services().registry.list_versions(path.model, limit=MOST_VERSIONS)
    )
    return Model(
        **_Facts.read(path.model).of(found),
        previous=found.aliases.get(PREVIOUS),
        team=store.team_of_model(path.model),
        versions=told_versions(versions, found.aliases, decided),
    )


@dataclass(frozen=True)
class _Facts:
    """What this service knows of models."""

    probations: Mapping[str, UnderWay]
    waiting: Sequence[Promotion]
    last: Mapping[str, HistoryLine]

    @classmethod
    def read(cls, model: str | None = None) -> "_Facts":
        """Read it of all, or of one."""
        store = services().store
        lines = store.last_events() if model is None else store.history(model, limit=1)
        waiting = store.unfinished(PromotionState.AWAITING_APPROVAL)
        return cls(store.probations(model), waiting, {line.model: line for line in lines})

    def of(self, found: RegisteredModel) -> dict[str, Any]:
        """Return a summary's fields."""
        return {
            "name": found.name,
            "champion": found.aliases.get(CHAMPION),
            "aliases": found.aliases,
            "probation": _probation(self.probations.get(found.name)),
            "waiting": [Waiting.model_validate(each) for each in self.waiting if each.model == found.name],
            "last": HistoryEvent.model_validate(self.last[found.name]) if found.name in self.last else None,
        }


def _recorded_models() -> Sequence[RegisteredModel]:
    store = services().store
    aliases: dict[str, dict[str, str]] = {line.model: {} for line in store.last_events()}
    for line in store.moved_aliases():
        aliases.setdefault(line.model, {}).update(_held_after(line))
    return [RegisteredModel(name, held) for name, held in aliases.items()]


def _recorded_model(name: str) -> RegisteredModel:
    store = services().store
    if not store.history(name, limit=1):
        raise ModelVersionNotFound(f"Nothing is recorded about a model '{name}'.")
    line = store.champion_at(name, CHAMPION)
    return RegisteredModel(name, _held_after(line) if line else {})


def _held_after(move: HistoryLine) -> dict[str, str]:
    """Return which versions had aliases after the move; that of the version before is not recorded by itself."""
    held = {move.alias: move.version, PREVIOUS: move.before if move.alias == CHAMPION else None}
    return {alias: version for alias, version in held.items() if version is not None}


def _recorded_versions(decided: Mapping[str, Promotion]) -> Sequence[ModelVersion]:
    return [
        ModelVersion(version, None, made.created_at, {JOB_TAG: made.job_id} if made.job_id else {})
        for version, made in decided.items()
    ][:MOST_VERSIONS]


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
