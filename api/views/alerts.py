"""POST /alerts/test."""

from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.types import ResponseDict

from api.alert_trials import try_channels
from api.openapi.answers import ALERTS, BEARER, answer, problem, problems
from api.queries import AlertTestRequest
from api.schemas import AlertTestResults
from api.services import services
from api.views.jobs import json_response

blueprint = APIBlueprint("alerts", __name__, abp_tags=[ALERTS], abp_security=BEARER)

TEST_RESPONSES: ResponseDict = {
    200: answer("What became of each test message.", AlertTestResults),
    **problems(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    409: problem(HTTPStatus.CONFLICT, code="NO_ALERT_CHANNEL", description="No alert channel is set up."),
}


@blueprint.post("/alerts/test", responses=TEST_RESPONSES, operation_id="testAlerts")
def test_alerts(body: AlertTestRequest) -> Response:
    """Send a test message to alert channels.

    It goes the way that alerts go: a worker takes it and posts it, once. The answer comes as soon as all are told, and
    after half a minute at the latest. Without a body, the channels are those of a job that names none.
    """
    return json_response(AlertTestResults(results=tuple(try_channels(body.to, services()))))
