"""Finds what a request is about, if its caller may see that; what it may not see is answered as if it did not exist."""

import re
from collections.abc import Iterable
from dataclasses import replace

from api.access.authorisation import may_see, require_acting_on, team_seen
from api.http.errors import ModelVersionNotFound
from mypackage.protocol import REGISTERED_MODEL
from shared.errors import JobNotFound, PromotionNotFound, TriggerNotFound
from shared.jobs.model import Job
from shared.jobs.model_teams import model_of_another_team
from shared.jobs.promotions import Promotion
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.jobs.triggers import Trigger
from shared.scheduling.queue_position import QueuePosition

SHORT_ID = re.compile(r"[0-9a-f-]{6,35}")
TOLD_JOB = re.compile(r"job ([0-9a-f-]{8})…")  # as shared.scheduling.queue_position tells of another job


def find_job_id(store: JobStore, given: str) -> str:
    """Return the id of the only job that begins so; what is given, if none does. Raise JobNotFound if several do.

    With isolation, raise it also for a job of another team.
    """
    job_id = _whole_id(store, given)
    if team_seen() is not None and not may_see(store.get(job_id)):
        raise JobNotFound.of(given)
    return job_id


def find_job_to_change(store: JobStore, given: str) -> Job:
    """Return the job; raise JobNotFound, or NotAllowed if it is another's."""
    job = store.get(_whole_id(store, given))
    if not may_see(job):
        raise JobNotFound.of(given)
    require_acting_on(job, f"Job {job.id}")
    return job


def _whole_id(store: JobStore, given: str) -> str:
    if not SHORT_ID.fullmatch(given):
        return given
    found = store.list(JobFilter(id_start=given, team=team_seen()), limit=2)
    if len(found) > 1:
        raise JobNotFound(f"The ids of several jobs begin with {given!r}; give more of it.", job_id=given)
    return found[0].id if found else given


def ids_seen(store: JobStore, ids: Iterable[str]) -> frozenset[str]:
    """Return those of the jobs that the caller may see."""
    asked, team = frozenset(ids), team_seen()
    if team is None or not asked:
        return asked
    return frozenset(job.id for job in store.list(JobFilter(ids=asked, team=team), limit=len(asked)))


def without_others(store: JobStore, place: QueuePosition) -> QueuePosition:
    """Return the queue position without jobs that the caller may not see."""
    if team_seen() is None:
        return place
    seen = ids_seen(store, place.blocking)
    told = {job_id[:8] for job_id in seen}
    message = TOLD_JOB.sub(lambda found: found[0] if found[1] in told else "a job of another team", place.message)
    return replace(place, blocking=tuple(each for each in place.blocking if each in seen), message=message)


def find_trigger(store: JobStore, name: str) -> Trigger:
    """Return the trigger, or raise TriggerNotFound."""
    trigger = store.get_trigger(name)
    if not may_see(trigger):
        raise TriggerNotFound.of(name)
    return trigger


def list_seen_triggers(store: JobStore) -> list[Trigger]:
    """Return the triggers that the caller may see, by name."""
    return [each for each in store.list_triggers() if may_see(each)]


def require_model(store: JobStore, model: str) -> None:
    """With isolation, raise ModelVersionNotFound unless the model is the caller's team's."""
    if not sees_model(store, model):
        raise ModelVersionNotFound(f"There is no model '{model}'. GET /models lists those that exist.")


def sees_model(store: JobStore, model: str) -> bool:
    """Return whether the caller may see the model: with isolation, only one of its team."""
    team = team_seen()
    return team is None or store.team_of_model(model) == team


def find_promotion(store: JobStore, promotion_id: str) -> Promotion:
    """Return the promotion, or raise PromotionNotFound."""
    found, team = store.get_promotion(promotion_id), team_seen()
    if team is not None and store.team_of_model(found.model) != team:
        raise PromotionNotFound.of(promotion_id)
    return found


def check_models(store: JobStore, names: Iterable[str | None]) -> None:
    """With isolation, raise ModelOfAnotherTeam if what is asked for names another team's; an address of one counts."""
    team = team_seen()
    if team is None:
        return
    for name in {_name_in(each) for each in names if each}:
        if store.team_of_model(name) not in (None, team):
            raise model_of_another_team(name)


def _name_in(address: str) -> str:
    found = REGISTERED_MODEL.match(address)
    return found["name"] if found else address
