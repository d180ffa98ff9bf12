"""Looks at what monitoring reports of a champion: a trigger of the kind observations.

It fires for the first value beyond the bound. Further ones of the same champion fire nothing until a value within the
bound was reported in between (it recovered, and fell again), or the champion is another version.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from shared.jobs.observations import Observation
from shared.jobs.promotions import CHAMPION
from shared.jobs.triggers import Occurrence, Outcome, Trigger, Verdict
from shared.triggers.fields import Observed
from worker.triggers.seam import Around, Found, Look

EVERY = timedelta(seconds=15)
PAGE = 200
MOST = 2000  # observations that one look goes through, the newest


def look(at: Look, around: Around) -> Found:
    """Go through what was reported of today's champion since the last look."""
    observed, trigger = at.when.observations, at.due.trigger
    assert observed is not None  # noqa: S101 - the kind says so
    line = around.store.champion_at(observed.model, CHAMPION)
    version = line.version if line else None
    if version is None:
        return Found(noted=(_noted(at, f"model {observed.model} has no champion"),), look_at=at.due.now + EVERY)
    new = _new(observed, version, trigger, around)
    fallen = trigger.seen.get("version") == version and bool(trigger.seen.get("fallen"))
    occurrences = []
    for each in new:
        breaks = observed.is_broken_by(each.value)
        if breaks and not fallen:
            occurrences.append(_occurrence(each, observed))
        fallen = breaks
    number = max([int(trigger.seen.get("number", 0)), *(each.number for each in new)])
    seen = {"number": number, "version": version, "fallen": fallen}
    noted = () if occurrences else (_noted(at, _why_not(observed, version, new, is_fallen=fallen)),)
    return Found(occurrences=tuple(occurrences), noted=noted, seen=seen, look_at=at.due.now + EVERY)


def _why_not(observed: Observed, version: str, new: Sequence[Observation], *, is_fallen: bool) -> str:
    champion = f"{observed.metric} of version {version}"
    if is_fallen:
        return f"{champion} is still beyond the bound; it fires again once a value within it was reported"
    return f"{champion} is within the bound" if new else f"nothing new was reported of {champion}"


def _noted(at: Look, reason: str) -> tuple[Occurrence, Verdict]:
    return Occurrence("", at.due.now), Verdict(Outcome.UNCHANGED, reason)


def _new(observed: Observed, version: str, trigger: Trigger, around: Around) -> Sequence[Observation]:
    """Return those that no earlier look saw, the oldest first; not what came before the trigger was made or resumed."""
    after = int(trigger.seen.get("number", 0))
    found = [
        each for each in _newest(observed, version, around) if each.number > after and each.received_at >= trigger.since
    ]
    return found[::-1]


def _newest(observed: Observed, version: str, around: Around) -> Iterator[Observation]:
    before: int | None = None
    for _ in range(MOST // PAGE):
        page = around.store.observations(
            observed.model, version=version, metric=observed.metric, limit=PAGE, before_number=before
        )
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].number


def _occurrence(each: Observation, observed: Observed) -> Occurrence:
    bound = {"below": observed.below} if observed.below is not None else {"above": observed.above}
    facts = {"model": each.model, "version": each.version, "metric": each.metric, "value": each.value, **bound}
    return Occurrence(f"version {each.version} observation {each.number}", each.at, "observations", facts)
