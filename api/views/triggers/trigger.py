"""Writes, reads and deletes triggers. What is done to them is in api.views.triggers.actions."""

import heapq
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Response
from pydantic import BaseModel, Field

from api.access.finding import find_trigger, list_seen_triggers
from api.http.errors import CredentialsNeeded, TriggerOfFile
from api.http.models import AnswerBody, NoQuery, Query
from api.operations.answers import Answer, Tag, json_response
from api.operations.operation import operation
from api.schemas import Timestamp
from api.services import links, services
from api.triggers.answers import (
    TIMES_SHOWN,
    Trigger,
    TriggerList,
    WrittenTrigger,
    all_of,
    whole_trigger,
    written_trigger,
)
from api.triggers.bodies import TriggerChange, TriggerRequest
from api.triggers.comparing import Plan, plan_of
from api.triggers.writing import Written, change, create, delete
from shared.access.roles import Right
from shared.errors import ModelOfAnotherTeam, TriggerChanged, TriggerExists, TriggerNotFound
from shared.jobs import triggers as records
from shared.jobs.triggers import TriggerState

ETAG = {"ETag": "Its version; send it as If-Match with a change."}
LOCATION = {"Location": "The trigger's address."}


class TriggerPath(BaseModel):
    """Which trigger."""

    name: str = Field(description="Its name.", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")


class ChangeHeaders(BaseModel):
    """Headers of a change."""

    if_match: str | None = Field(
        None,
        alias="If-Match",
        pattern=r'^("[0-9]{1,9}"|\*)$',
        description="The ETag of the trigger that you read: another version is not changed. Left out: any version.",
    )

    @property
    def version(self) -> int | None:
        """The version that is to be changed; None for any."""
        return int(self.if_match.strip('"')) if self.if_match and self.if_match != "*" else None


class TriggersQuery(Query):
    """Which triggers."""

    next: int | None = Field(
        None, ge=1, le=100, description="Only so many, of cron and every and not paused: those whose time comes first."
    )


class Difference(AnswerBody):
    """A field with another value."""

    field: str = Field(description="Which, as in /when/cron.")
    before: Any = Field(description="Null if it had its default; … for a secret.")
    after: Any


class TriggerPlan(AnswerBody):
    """What writing a trigger would do."""

    name: str
    action: Plan
    differences: tuple[Difference, ...]
    next_at: tuple[Timestamp, ...] = Field(
        description=f"The first {TIMES_SHOWN} times of cron and every, without jitter, if it were written now."
    )


@operation(
    "POST /triggers",
    Answer("The trigger.", WrittenTrigger, HTTPStatus.CREATED, {**LOCATION, **ETAG}),
    tag=Tag.TRIGGERS,
    needs=Right.OPERATE,
    raises=[TriggerExists, ModelOfAnotherTeam],
)
def add_trigger(body: TriggerRequest) -> Response:
    """Let retrainings start by themselves.

    A trigger has a template, which is the body of a `POST /retrain`; `when` says what fires it, and `policy` what keeps
    it from firing. All of it is checked now; the template's repository is read when a job of it has its turn.

    Senders of the kinds `git`, `registry` and `signal` sign what they send with `secret`. If none is sent, one is made;
    only this answer has it.
    """
    written = create(body, services())
    response = _written(written, HTTPStatus.CREATED)
    response.headers["Location"] = links().trigger(body.name)
    return response


@operation(
    "POST /triggers/check",
    Answer("What would happen.", TriggerPlan),
    tag=Tag.TRIGGERS,
    needs=Right.SUBMIT,
    raises=[TriggerExists, ModelOfAnotherTeam],
)
def check_trigger(body: TriggerRequest) -> TriggerPlan:
    """Tell what writing a trigger would change, without writing it.

    It is checked as by `POST /triggers`, and compared with the trigger of that name, if there is one.
    """
    found = plan_of(body, services())
    differences = tuple(
        Difference(field=name, before=was, after=will) for name, (was, will) in found.differences.items()
    )
    return TriggerPlan(name=body.name, action=found.plan, differences=differences, next_at=found.next_at)


@operation("GET /triggers", Answer("All triggers, by name.", TriggerList), tag=Tag.TRIGGERS, needs=Right.READ)
def list_triggers(query: TriggersQuery) -> TriggerList:
    """List the triggers, and whether they fire at all.

    `pause` says since when no trigger fires, because of `POST /triggers/pause`; a single one that is paused says so in
    its `state`.
    """
    store = services().store
    found = list_seen_triggers(store)
    return all_of(found if query.next is None else _first(found, query.next), store)


@operation(
    "GET /triggers/<name>",
    Answer("The trigger.", Trigger, headers=ETAG),
    tag=Tag.TRIGGERS,
    needs=Right.READ,
    raises=[TriggerNotFound],
)
def get_trigger(path: TriggerPath, query: NoQuery) -> Response:
    """Read a trigger: what it does, what happened last and why, and what comes next.

    Its credentials and its secret are not in the answer.
    """
    store = services().store
    found = whole_trigger(find_trigger(store, path.name), store)
    return _with_etag(json_response(found), found.version)


@operation(
    "PUT /triggers/<name>",
    Answer("The trigger.", WrittenTrigger, headers=ETAG),
    tag=Tag.TRIGGERS,
    needs=Right.OPERATE,
    raises=[TriggerNotFound, TriggerChanged, TriggerOfFile, CredentialsNeeded, ModelOfAnotherTeam],
)
def put_trigger(path: TriggerPath, header: ChangeHeaders, body: TriggerChange) -> Response:
    """Change a trigger: the body replaces template, condition and policy.

    The stored credentials stay for an address that is sent without any and is otherwise the same; so does the secret,
    unless another one is sent. The trigger and its jobs stay its maker's. If `when` changes, what happened before
    counts no more. Send the trigger's `ETag` as `If-Match`, so that you do not undo what somebody else changed
    meanwhile. Nothing changes if it is as it was.
    """
    find_trigger(services().store, path.name)
    return _written(change(path.name, body, version=header.version, services=services()), HTTPStatus.OK)


@operation(
    "DELETE /triggers/<name>",
    Answer("It is deleted.", status=HTTPStatus.NO_CONTENT),
    tag=Tag.TRIGGERS,
    needs=Right.OPERATE,
    raises=[TriggerNotFound, TriggerOfFile],
)
def delete_trigger(path: TriggerPath, query: NoQuery) -> Response:
    """Delete a trigger with its events and credentials.

    Its jobs stay, and go on.
    """
    find_trigger(services().store, path.name)
    delete(path.name, services())
    return Response(status=HTTPStatus.NO_CONTENT)


def _first(triggers: Sequence[records.Trigger], count: int) -> Sequence[records.Trigger]:
    coming = [(each.look_at, each.name, each) for each in triggers if each.kind.is_tick and each.look_at is not None]
    active = (each for each in coming if each[-1].state is TriggerState.ACTIVE)
    return [each for *_, each in heapq.nsmallest(count, active, key=lambda each: each[:2])]


def _written(written: Written, status: HTTPStatus) -> Response:
    body = written_trigger(written.trigger, services().store, secret=written.secret)
    return _with_etag(json_response(body, status), body.version)


def _with_etag(response: Response, version: int) -> Response:
    response.set_etag(str(version))
    return response
