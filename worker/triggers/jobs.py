"""Looks at jobs that succeeded: a trigger of the kind job. Each success fires once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.access.roles import Role
from shared.errors import TriggerNotFound
from shared.jobs.triggers import Occurrence, Outcome, Succeeded, Trigger, Verdict
from shared.triggers.fields import JobSucceeded
from worker.triggers.seam import Around, Found, Look

EVERY = timedelta(seconds=5)
OVERLAP = timedelta(minutes=1)  # a job's end may be committed after that of one which ended later
PAGE = 500
LONGEST_CHAIN = 20
CHAIN = "chain"  # how many jobs that came after others led to this one; among the facts of triggered_by


def look(at: Look, around: Around) -> Found:
    """Return the successes that no earlier look saw, of those since the trigger was made or resumed."""
    trigger, after = at.due.trigger, at.when.job
    assert after is not None  # noqa: S101 - the kind says so
    known = frozenset(trigger.seen.get("jobs", ()))
    since = _since(trigger.since, trigger.seen, at.due.now)
    team = _only_team(trigger, around)
    page = around.store.succeeded_since(since, trigger=after.trigger, model=after.model, team=team, limit=PAGE)
    is_whole = len(page) < PAGE
    until = at.due.now if is_whole else page[-1].ended_at
    recent = [each.job_id for each in page if each.ended_at > until - OVERLAP]
    new = [each for each in page if each.job_id not in known and each.trigger_name != trigger.name]
    too_long = tuple(_too_long(each) for each in new if _chain(each) > LONGEST_CHAIN)
    return Found(
        occurrences=tuple(_occurrence(each) for each in new if _chain(each) <= LONGEST_CHAIN),
        noted=too_long if new else (_none(after, at, around),),
        seen={"until": until.isoformat(), "jobs": recent},
        look_at=at.due.now + (EVERY if is_whole else timedelta()),
    )


def _none(after: JobSucceeded, at: Look, around: Around) -> tuple[Occurrence, Verdict]:
    """Note that there is no new one, or that there cannot be: the trigger that it comes after is not there."""
    what = f"trigger {after.trigger}" if after.trigger else f"model {after.model}"
    reason = f"no other job of {what} has succeeded"
    if after.trigger:
        try:
            there_is = _only_team(at.due.trigger, around) in (None, around.store.get_trigger(after.trigger).team)
        except TriggerNotFound:
            there_is = False
        if not there_is:
            reason = f"there is no trigger {after.trigger!r} that it could come after"
    return Occurrence("", at.due.now), Verdict(Outcome.UNCHANGED, reason)


def _only_team(trigger: Trigger, around: Around) -> str | None:
    """Return whose jobs alone exist for the trigger; None if all teams' do."""
    is_bound = around.settings.teams_isolated and Role.ADMIN not in trigger.roles
    return trigger.team if is_bound else None


def _since(since: datetime, seen: Mapping[str, Any], now: datetime) -> datetime:
    """Return from when on: a minute before the last look's end, and never before the trigger counts."""
    until = seen.get("until")
    if not until:
        return since
    return max(since, min(datetime.fromisoformat(until), now) - OVERLAP)  # min: by a clock that was ahead


def _occurrence(each: Succeeded) -> Occurrence:
    facts = {"job": each.job_id, "model": each.model_name, "trigger": each.trigger_name, CHAIN: _chain(each)}
    told = {name: value for name, value in facts.items() if value is not None}
    return Occurrence(f"job {each.job_id}", each.ended_at, "job", told)


def _chain(each: Succeeded) -> int:
    """Return the place in the chain of what comes after this job."""
    facts = (each.triggered_by or {}).get("facts") or {}
    return int(facts.get(CHAIN, 0)) + 1


def _too_long(each: Succeeded) -> tuple[Occurrence, Verdict]:
    """Note one that does not fire: two triggers made at the same moment may each come after the other."""
    reason = f"job {each.job_id} came after {LONGEST_CHAIN} others, so these triggers start each other in a circle"
    return _occurrence(each), Verdict(Outcome.SKIPPED, reason)
