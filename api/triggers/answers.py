"""What the API answers about triggers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pydantic import Field

from api.http.models import AnswerBody
from api.schemas import Timestamp
from shared.jobs import triggers as records
from shared.jobs.store import JobStore
from shared.jobs.triggers import Kind, Outcome, TriggerState
from shared.triggers.fields import When
from shared.triggers.records import when_of
from shared.triggers.ticks import times_after

TIMES_SHOWN = 5


class Pause(AnswerBody):
    """Since when no trigger fires, and why."""

    since: Timestamp
    reason: str


class AllTriggers(AnswerBody):
    """Whether triggers fire at all."""

    pause: Pause | None = Field(description="Null while they do.")


class TriggerEvent(AnswerBody):
    """Something that happened, or a look, and what became of it."""

    number: int = Field(description="Grows with every event of any trigger.")
    at: Timestamp = Field(description="When it happened.")
    recorded_at: Timestamp = Field(description="When it became known.")
    outcome: Outcome
    reason: str = Field(description="Why, for people.")
    until: Timestamp | None = Field(description="Until when it waits, if that is known.")
    job_id: str | None = Field(description="The job that it became.")
    key: str | None = Field(description="The same key fires once; null for a look.")
    subject: str = Field(description="What it is about, such as a branch: a later one of the same supersedes it.")
    facts: Mapping[str, Any] = Field(description="What is known of it.")
    changes: Mapping[str, Any] = Field(description="What it changes in the template, such as the commit.")
    times: int = Field(description="How often the same was found in a row.")
    last_at: Timestamp = Field(description="When it was found last, or changed.")


class TriggerSummary(AnswerBody):
    """A trigger as it was written, and what has become of it."""

    name: str
    version: int = Field(description="Grows with every change.")
    kind: Kind
    state: TriggerState
    paused_at: Timestamp | None
    paused_reason: str
    submitted_by: str | None = Field(description="The caller that made it; its jobs are that caller's.")
    team: str | None = Field(description="That caller's team; null for none.")
    source: str | None = Field(description="The file in TRIGGERS_DIR that it is from; only that changes it.")
    template: Mapping[str, Any] = Field(
        description="The request of its jobs, without credentials and what has its default."
    )
    when: Mapping[str, Any]
    policy: Mapping[str, Any] = Field(description="Without what has its default.")
    has_credentials: bool = Field(description="Whether credentials came with the template.")
    has_secret: bool = Field(description="Whether its senders sign, or send a token.")
    created_at: Timestamp
    changed_at: Timestamp
    look_at: Timestamp | None = Field(description="When a worker looks next; null until something is sent.")
    looked_at: Timestamp | None = Field(description="When a worker last looked.")
    fired_at: Timestamp | None = Field(description="When it last fired.")
    next_at: tuple[Timestamp, ...] = Field(
        description=f"The next {TIMES_SHOWN} times of cron and every (in a list only the first), without jitter; none "
        "while it is paused."
    )
    last_event: TriggerEvent | None = Field(description="What happened last; null if nothing did.")


class Trigger(TriggerSummary):
    """A trigger, and whether triggers fire at all."""

    pause: Pause | None = Field(description="Since when no trigger fires at all; null while they do.")


class WrittenTrigger(Trigger):
    """A trigger that was just written."""

    secret: str | None = Field(description="The secret that was made for its senders. It is not shown again.")


class TriggerList(AllTriggers):
    """All triggers, by name."""

    triggers: list[TriggerSummary]


class TriggerEvents(AnswerBody):
    """A page of a trigger's events, the newest first."""

    events: list[TriggerEvent]
    next: str | None = Field(description="The next page; null on the last one.")


def all_of(triggers: Sequence[records.Trigger], store: JobStore) -> TriggerList:
    """Return the triggers as they appear in a list."""
    newest, pause = store.newest_trigger_events(), store.triggers_pause()
    found = [_summary(each, newest.get(each.name), pause, times=1) for each in triggers]
    return TriggerList.model_validate({"triggers": found, "pause": pause})


def whole_trigger(trigger: records.Trigger, store: JobStore) -> Trigger:
    """Return the trigger with what happened last and what comes next."""
    return Trigger.model_validate(_whole(trigger, store))


def written_trigger(trigger: records.Trigger, store: JobStore, *, secret: str | None) -> WrittenTrigger:
    """Return the same with the secret that was made for it."""
    return WrittenTrigger.model_validate({**_whole(trigger, store), "secret": secret})


def _whole(trigger: records.Trigger, store: JobStore) -> dict[str, Any]:
    events, pause = store.trigger_events(trigger.name, limit=1), store.triggers_pause()
    return {**_summary(trigger, events[0] if events else None, pause), "pause": pause}


def _summary(
    trigger: records.Trigger,
    newest: records.TriggerEvent | None,
    pause: records.Pause | None,
    *,
    times: int = TIMES_SHOWN,
) -> dict[str, Any]:
    same = {name: getattr(trigger, name) for name in TriggerSummary.model_fields if hasattr(trigger, name)}
    secrets = {"has_credentials": trigger.had_secret, "has_secret": trigger.had_hook_secret}
    fires = pause is None and trigger.state == TriggerState.ACTIVE
    next_at = next_times(trigger, datetime.now(UTC), most=times) if fires else ()
    return {**same, **secrets, "next_at": next_at, "last_event": newest}


def next_times(trigger: records.Trigger, now: datetime, *, most: int) -> tuple[datetime, ...]:
    """Return when a trigger of the kinds cron and every fires next."""
    if not trigger.kind.is_tick:
        return ()
    return times_of(when_of(trigger.when), max(now, trigger.since), anchor=trigger.created_at, most=most)


def times_of(when: When, after: datetime, *, anchor: datetime, most: int = TIMES_SHOWN) -> tuple[datetime, ...]:
    """Return the next times of this condition; none for one that waits for something else than a time."""
    return tuple(islice(times_after(when, after, anchor=anchor), most)) if when.kind.is_tick else ()
