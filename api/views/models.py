"""POST /models/<name>/champion."""

from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.openapi.answers import BEARER, MODELS, answer, problem, problems
from api.queries import ChampionRequest, ModelPath
from api.rollback import roll_back
from api.schemas import Champion
from api.services import services
from api.views.jobs import json_response

blueprint = APIBlueprint("models", __name__, abp_tags=[MODELS], abp_security=BEARER)

CHAMPION_RESPONSES: ResponseDict = {
    200: answer("The champion.", Champion),
    **problems(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    404: problem(
        HTTPStatus.NOT_FOUND,
        code="MODEL_VERSION_NOT_FOUND",
        description="MLflow has no such model, or no such version.",
    ),
    503: problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        code="TRACKING_UNAVAILABLE",
        description="MLflow does not answer, or does not do it. It is safe to ask again.",
    ),
}


@blueprint.post("/models/<model>/champion", responses=CHAMPION_RESPONSES, operation_id="setChampion")
def set_champion(path: ModelPath, body: ChampionRequest) -> Response:
    """Make another version the champion, such as the one before, when the new one does not do.

    The alias `champion` moves to it, and `previous` to the one that was champion. When, why and from which version
    is kept in tags `retrain.rollback_*` of the version. A version that is champion already is left as it is.

    The next training is compared with this champion.
    """
    registry = services().registry
    return json_response(
        Champion.model_validate(roll_back(registry, path.model, version=body.version, reason=body.reason))
    )
