"""POST /alerts/test."""

from typing import Annotated

from pydantic import Field

from api.access.authorisation import require_all_teams
from api.alert_trials import AlertTestResult, try_channels
from api.http.errors import NoAlertChannel
from api.http.models import AnswerBody, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.services import services
from shared.access.roles import Right
from shared.requests.texts import Word


class AlertTestRequest(RequestBody):
    """Which alert channels to try."""

    to: Annotated[frozenset[Word], Field(min_length=1, max_length=20)] | None = Field(
        None, description="Their names; by default those that a job goes to that names none.", examples=[["team-a"]]
    )


class AlertTestResults(AnswerBody):
    """The outcome of each test message."""

    results: tuple[AlertTestResult, ...]


@operation(
    "POST /alerts/test",
    Answer("What became of each test message.", AlertTestResults),
    tag=Tag.ALERTS,
    needs=Right.OPERATE,
    raises=[NoAlertChannel],
)
def test_alerts(body: AlertTestRequest) -> AlertTestResults:
    """Send a test message to alert channels.

    It goes the way that alerts go: a worker takes it and posts it, once. The answer comes as soon as all outcomes are
    known, after half a minute at the latest. Without a body, the channels are those of a job that names none.
    """
    require_all_teams("Alert channels")
    return AlertTestResults(results=tuple(try_channels(body.to, services())))
