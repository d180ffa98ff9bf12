"""POST /models/<name>/champion, and PUT /models/<name>/team."""

import logging
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictStr, WithJsonSchema

from api.access.authorisation import current_caller
from api.access.finding import require_model
from api.http.errors import ModelVersionNotFound, RegistryUnavailable
from api.http.models import AnswerBody, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.rollback import Champion, roll_back
from api.services import services
from shared.access.roles import Right
from shared.access.tokens import TEAM
from shared.errors import NotChampion
from shared.requests.texts import Text

logger = logging.getLogger(__name__)

MODEL_NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff/:]{1,256}")


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_model(value: str) -> str:
    if not MODEL_NAME.fullmatch(value):
        raise ModelVersionNotFound("There is no such model: MLflow allows no such name.")
    return value


VERSION = r"^[1-9][0-9]{0,8}$"
SCHEMA = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 999_999_999}]}
VersionNumber = Annotated[
    StrictStr, BeforeValidator(_as_text), Field(pattern=VERSION), WithJsonSchema(SCHEMA, mode="validation")
]


class ModelPath(BaseModel):
    """Which model."""

    model: Annotated[str, AfterValidator(_check_model)] = Field(description="The registered model's name.")


class ChampionRequest(RequestBody):
    """Which version becomes champion, and why."""

    version: VersionNumber = Field(description="The version's number; also as a number.")
    reason: Annotated[Text, Field(min_length=1, max_length=500)] = Field(
        description="Why, for those who ask later.", examples=["wrong labels in the data of version 7"]
    )
    instead_of: VersionNumber | None = Field(
        None, description="Do it only if this version is champion until then; null for whichever is."
    )


class TeamRequest(RequestBody):
    """Whose a model is from now on."""

    team: str | None = Field(description="The team; null for none.", pattern=TEAM, examples=["vision"])


class ModelTeam(AnswerBody):
    """Whose a model is."""

    model: str
    team: str | None = Field(description="Null: nobody's.")


@operation(
    "POST /models/<model>/champion",
    Answer("The champion.", Champion),
    tag=Tag.MODELS,
    needs=Right.APPROVE,
    raises=[ModelVersionNotFound, NotChampion, RegistryUnavailable],
)
def set_champion(path: ModelPath, body: ChampionRequest) -> Champion:
    """Make another version the champion, such as the previous one if the new one turns out to be bad.

    The alias `champion` moves to it, and `previous` to the old champion. The time, the reason and the old version are
    recorded in its tags `retrain.rollback_*`. If it already is the champion, nothing changes.

    The next training is compared with this champion.
    """
    here = services()
    require_model(here.store, path.model)
    actor = current_caller().name
    return roll_back(
        here.store,
        here.registry,
        path.model,
        version=body.version,
        actor=actor,
        reason=body.reason,
        instead_of=body.instead_of,
    )


@operation(
    "PUT /models/<model>/team",
    Answer("Whose the model is.", ModelTeam),
    tag=Tag.MODELS,
    needs=Right.ADMINISTER,
    raises=[ModelVersionNotFound],
)
def set_model_team(path: ModelPath, body: TeamRequest) -> ModelTeam:
    """Say whose a model is.

    A model is the team's whose job names it first. One that a job without a team has named first, or that was trained
    before there were teams, is nobody's: where teams are isolated, no team's job may name it until it is assigned. It
    may also be assigned before any job names it. Jobs and triggers stay whose they are.
    """
    services().store.assign_model(path.model, body.team)
    logger.info("model assigned", extra={"model": path.model, "team": body.team})
    return ModelTeam(model=path.model, team=body.team)
