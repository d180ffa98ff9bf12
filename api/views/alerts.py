"""GET /alerts and /alerts/channels, POST /alerts/test."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.access.authorisation import require_all_teams, team_seen
from api.alert_trials import AlertTestResult, try_channels
from api.http.errors import NoAlertChannel
from api.http.models import AnswerBody, NoQuery, Query, RequestBody
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.paging import asked_again
from api.schemas import Timestamp
from api.services import services
from api.views.jobs.listing import Filter
from shared.access.roles import Right
from shared.alerts.listed import AlertCursor, AlertFilter, ToldAlert
from shared.alerts.model import AlertEvent, AlertState
from shared.requests.texts import Word

MOST_KEY_CHARACTERS = 200


def encode_cursor(place: AlertCursor) -> str:
    """Return the place as an opaque string."""
    return base64.urlsafe_b64encode(json.dumps([place.at.isoformat(), place.key]).encode()).decode().rstrip("=")


def decode_cursor(value: Any) -> Any:
    """Parse what `encode_cursor` returned; raise ValueError for anything else."""
    if not isinstance(value, str):
        return value
    try:
        at, key = json.loads(base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True))
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not (key.isascii() and key.isprintable() and len(key) <= MOST_KEY_CHARACTERS):
            raise ValueError
        return AlertCursor(moment.astimezone(UTC), key)
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError("was not issued by this API; take it from the link to the next page") from error


class AlertsQuery(Query):
    """Which alerts to list."""

    job_id: Filter | None = Field(None, description="About this job, or the move of an alias that it wanted.")
    model: Filter | None = Field(None, description="About this registered model, or a job that trains it.")
    channel: Filter | None = Field(None, description="For this channel.")
    state: AlertState | None = Field(None, description="In this state.")
    limit: int = Field(50, ge=1, le=200, description="Alerts on a page.")
    cursor: Annotated[AlertCursor, BeforeValidator(decode_cursor), WithJsonSchema({"type": "string"})] | None = Field(
        None, description="Where the page begins: take it from `next`."
    )


class ListedAlert(AnswerBody):
    """What was told to one channel, or is to be."""

    id: str = Field(description="As its receiver knows it; the same for every channel.")
    event: AlertEvent
    channel: str
    at: Timestamp = Field(description="When it happened.")
    job_id: str | None = Field(description="The job that it is about, or that wanted the alias to move.")
    attempt: int = Field(description="The job's attempt; 0 for none.")
    model: str | None = Field(description="The model that it is about, or that the job trains.")
    alias: str | None = Field(description="Which alias moved or is to move; null for alerts about a job.")
    state: AlertState
    tries: int = Field(description="How often a worker tried, or began to.")
    next_try_at: Timestamp | None = Field(description="When a worker tries again, or may; null once it is over.")
    cause: str | None = Field(description="Why the last try failed; null if none did, or nobody wrote it down.")


class AlertPage(AnswerBody):
    """Some alerts, the newest first."""

    alerts: Sequence[ListedAlert]
    next: str | None = Field(description="The next page's address; null on the last one.")


class Channel(AnswerBody):
    """A channel that is set up."""

    name: str = Field(description="As a request names it.")
    kind: str = Field(description="What it is: discord, slack, mail, webhook or a plug-in's.")
    is_default: bool = Field(description="Whether jobs go there that name none.")


class Channels(AnswerBody):
    """The channels that are set up, by name; their addresses are secret."""

    channels: Sequence[Channel]
    events: Sequence[AlertEvent] = Field(description="What is told of a job that does not choose.")


@operation("GET /alerts", Answer("A page of alerts.", AlertPage), tag=Tag.ALERTS, needs=Right.READ)
def list_alerts(query: AlertsQuery) -> AlertPage:
    """List what was told to whom, and what waits to be told: the newest first.

    Each channel has an alert of its own. Alerts about a job are kept as long as the job, those about a model for good.
    An alert must match all filters. A caller of a team, where teams are isolated, sees those of its jobs and models.
    """
    where = AlertFilter(query.job_id, query.model, query.channel, query.state, team_seen())
    found = services().store.list_alerts(where, limit=query.limit + 1, after=query.cursor)
    page = found[: query.limit]
    following = asked_again(cursor=encode_cursor(page[-1].place)) if len(found) > len(page) else None
    return AlertPage(alerts=[_listed(each) for each in page], next=following)


@operation("GET /alerts/channels", Answer("The channels.", Channels), tag=Tag.ALERTS, needs=Right.READ)
def list_alert_channels(query: NoQuery) -> Channels:
    """List the channels that are set up, by name and kind.

    Where they lead is secret. `POST /alerts/test` tries them.
    """
    settings = services().settings
    known = sorted(settings.destinations.by_name.values(), key=lambda each: each.name)
    channels = [Channel(name=each.name, kind=each.kind, is_default=each.is_default) for each in known]
    return Channels(channels=channels, events=sorted(settings.alerting.events))


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


def _listed(told: ToldAlert) -> ListedAlert:
    values = {name: getattr(told, name) for name in ListedAlert.model_fields if name != "next_try_at"}
    return ListedAlert(**values, next_try_at=told.due_at if told.state is AlertState.WAITING else None)
