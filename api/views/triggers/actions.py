"""What is done to triggers: pause, resume and fire them; and what happened to one."""

import logging

from flask import Response
from pydantic import BaseModel, Field

from api.access.authorisation import require_all_teams
from api.access.finding import find_trigger
from api.http.models import Query
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.paging import next_history
from api.services import services
from api.triggers.answers import AllTriggers, Trigger, TriggerEvents, whole_trigger
from api.triggers.bodies import ActionRequest
from api.triggers.firing import fire
from api.views.jobs.listing import Time
from api.views.jobs.retrain import ACCEPTED, accepted
from api.views.triggers.trigger import TriggerPath
from shared.access.roles import Right
from shared.errors import ModelOfAnotherTeam, TooManyJobsQueued, TriggerNotFound

logger = logging.getLogger(__name__)


class FireHeaders(BaseModel):
    """Headers of a firing."""

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="A word of your own for this firing. Sent again for the same trigger, it answers the same job.",
    )


class EventsQuery(Query):
    """Which events."""

    limit: int = Field(50, ge=1, le=200, description="Events on a page.")
    before: int | None = Field(None, ge=1, le=2**53, description="Only events with smaller numbers.")
    until: Time | None = Field(None, description="Only what was known by this RFC 3339 time.")


ALL = Answer("Whether triggers fire.", AllTriggers)
ONE = Answer("The trigger.", Trigger)


@operation("POST /triggers/pause", ALL, tag=Tag.TRIGGERS, needs=Right.OPERATE)
def pause_triggers(body: ActionRequest) -> AllTriggers:
    """Let no trigger fire, whatever happens.

    What happens meanwhile starts nothing, not even later. `POST /triggers/<name>/fire` still works. If they are paused
    already, `since` stays, and the reason is the new one.
    """
    require_all_teams("All triggers at once")
    pause = services().store.pause_triggers(reason=body.reason)
    logger.info("triggers paused by request", extra={"reason": body.reason})
    return AllTriggers.model_validate({"pause": pause})


@operation("POST /triggers/resume", ALL, tag=Tag.TRIGGERS, needs=Right.OPERATE)
def resume_triggers(body: ActionRequest) -> AllTriggers:
    """Let triggers fire again, for what happens from now on.

    Those that are paused themselves stay so.
    """
    require_all_teams("All triggers at once")
    services().store.resume_triggers()
    logger.info("triggers resumed by request", extra={"reason": body.reason})
    return AllTriggers(pause=None)


@operation("POST /triggers/<name>/pause", ONE, tag=Tag.TRIGGERS, needs=Right.OPERATE, raises=[TriggerNotFound])
def pause_trigger(path: TriggerPath, body: ActionRequest) -> Trigger:
    """Let a trigger fire nothing until it is resumed.

    What happens meanwhile starts nothing, not even later. `POST /triggers/<name>/fire` still works. If it is paused
    already, `paused_at` stays, and the reason is the new one.
    """
    store = services().store
    find_trigger(store, path.name)
    paused = store.pause_trigger(path.name, reason=body.reason)
    logger.info("trigger paused by request", extra={"trigger": path.name, "reason": body.reason})
    return whole_trigger(paused, store)


@operation("POST /triggers/<name>/resume", ONE, tag=Tag.TRIGGERS, needs=Right.OPERATE, raises=[TriggerNotFound])
def resume_trigger(path: TriggerPath, body: ActionRequest) -> Trigger:
    """Let a trigger fire again, for what happens from now on.

    Failures before this do not count for `disable_after` any more.
    """
    store = services().store
    find_trigger(store, path.name)
    resumed = store.resume_trigger(path.name)
    logger.info("trigger resumed by request", extra={"trigger": path.name, "reason": body.reason})
    return whole_trigger(resumed, store)


@operation(
    "POST /triggers/<name>/fire",
    ACCEPTED,
    tag=Tag.TRIGGERS,
    needs=Right.OPERATE,
    raises=[TriggerNotFound, TooManyJobsQueued, ModelOfAnotherTeam],
)
def fire_trigger(path: TriggerPath, header: FireHeaders, body: ActionRequest) -> Response:
    """Submit the trigger's job now, whatever its policy says, and even while it is paused.

    The answer is as for `POST /retrain`. With an `Idempotency-Key`, it is safe to repeat.
    """
    find_trigger(services().store, path.name)
    return accepted(fire(path.name, reason=body.reason, key=header.idempotency_key, services=services()))


@operation(
    "GET /triggers/<name>/events",
    Answer("A page of events.", TriggerEvents),
    tag=Tag.TRIGGERS,
    needs=Right.READ,
    raises=[TriggerNotFound],
)
def list_trigger_events(path: TriggerPath, query: EventsQuery) -> TriggerEvents:
    """Tell what happened to a trigger and what became of it, the newest first.

    Every look and every occurrence is there with its reason, also if nothing came of it. With `until`, the first event
    says why it had, or had not, fired at that time. The newest thousand are kept, for 90 days.
    """
    store = services().store
    find_trigger(store, path.name)
    found = store.trigger_events(path.name, limit=query.limit + 1, before_number=query.before, until=query.until)
    page = found[: query.limit]
    following = next_history(page[-1].number) if len(found) > len(page) else None
    return TriggerEvents.model_validate({"events": page, "next": following})
