"""Defines a champion's probation, what monitoring observes of a champion in use, and how the one judges the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from shared.errors import NotChampion, ObservationRefused
from shared.jobs.promotions import HistoryLine, Promotion

FACT = "probation"  # under which a promotion's facts have it
LONGEST_DAYS = 30  # of a probation
KEPT_DAYS = 90  # an observation: longer than a probation, and as long before it
MOST_KEPT = 100_000  # of one version, the newest: those of the version before are what the next one is compared with
LARGEST = 1e100  # value, so that sums stay finite
FAR = timedelta(minutes=1)  # a clock of monitoring may be ahead of the store's by that


class Verdict(StrEnum):
    """What an observation says about the champion."""

    NOT_JUDGED = "not_judged"
    HOLDS = "holds"
    BROKEN = "broken"


@dataclass(frozen=True)
class Probation:
    """How a new champion must do, once it is in use. ``reference`` is the gate's value of the metric, if it has one."""

    seconds: float
    metric: str
    lower_is_better: bool
    max_worsening: float
    reference: float | None = None

    @property
    def length(self) -> timedelta:
        """How long it takes."""
        return timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class UnderWay:
    """A probation that has begun: the last move of a model's alias was that promotion's."""

    rule: Probation
    promotion_id: str
    version: str
    before: str | None
    since: datetime
    reference: float | None  # the gate's or, for another metric, what was observed of the version before
    observations: int = 0  # of the metric, since then
    broken: int = 0  # of these

    @property
    def until(self) -> datetime:
        """When it ends."""
        return self.since + self.rule.length

    @property
    def bound(self) -> float | None:
        """The worst value with which the champion stays; None without a reference."""
        if self.reference is None:
            return None
        allowed = exact(self.rule.max_worsening)
        return float(exact(self.reference) + (allowed if self.rule.lower_is_better else -allowed))


@dataclass(frozen=True)
class NewObservation:
    """A value that monitoring reports. ``at`` None means now, ``version`` None who was champion then."""

    model: str
    metric: str
    value: float
    actor: str
    version: str | None = None
    at: datetime | None = None
    n: int = 1  # the examples that the value is of


@dataclass(frozen=True)
class Observation:
    """A recorded one; ``promotion_id`` names the move whose probation judged it."""

    number: int
    model: str
    version: str
    metric: str
    value: float
    n: int
    at: datetime
    received_at: datetime
    actor: str
    promotion_id: str | None
    verdict: Verdict
    reason: str


def probation_of(promotion: Promotion) -> Probation | None:
    """Return the probation that the promotion asks for; None for none, or for one of a later version's form."""
    said: Mapping[str, Any] = promotion.facts.get(FACT) or {}
    known = {each.name for each in fields(Probation)}
    try:
        return Probation(**{name: value for name, value in said.items() if name in known})
    except TypeError:
        return None


def under_way_since(moved_at: datetime, promotion: Promotion) -> UnderWay | None:
    """Return the probation that a move began then, with the gate's reference; None if it began none."""
    rule = probation_of(promotion)
    if rule is None or promotion.version is None:
        return None
    return UnderWay(rule, promotion.id, promotion.version, promotion.before, moved_at, rule.reference)


def may_be_of(new: NewObservation, then: HistoryLine | None) -> Sequence[str | None]:
    """Return the versions of which it may be known; ``then`` is the last move of the alias until it was made.

    If it names none, also who was champion before that: the observation's first report may have led to that move.
    """
    if new.version is not None or then is None:
        return (new.version,)
    return (then.version,) if new.at is None else (then.version, then.before)


def require_champion(new: NewObservation, then: HistoryLine | None, now: HistoryLine | None) -> str:
    """Return the champion; raise NotChampion unless it is the version that was observed."""
    version, champion = new.version or (then.version if then else None), now.version if now else None
    if champion is None:
        raise NotChampion(f"No version of '{new.model}' is champion, so there is nothing to observe.", champion=None)
    if version != champion:
        raise NotChampion(f"{_who_was(new, version)}: version {champion} is. Report that one.", champion=champion)
    return champion


def _who_was(new: NewObservation, version: str | None) -> str:
    if new.version is not None:
        return f"Version {version} of '{new.model}' is not the champion"
    at = new.at.isoformat() if new.at else "now"
    return f"At {at}, {f'version {version}' if version else 'no version'} of '{new.model}' was champion, and is not now"


def observed_at(new: NewObservation, now: datetime) -> datetime:
    """Return when it was; raise ObservationRefused if that is in the future, or too long ago."""
    at = new.at or now
    if at > now + FAR:
        raise ObservationRefused(f"at is {at.isoformat()}, in the future: it is {now.isoformat()} now.", now=now)
    if at < now - timedelta(days=KEPT_DAYS):
        message = (
            f"at is {at.isoformat()}, and observations are kept for {KEPT_DAYS} days: it is {now.isoformat()} now."
        )
        raise ObservationRefused(message, now=now)
    return at


def require_same(known: Observation, new: NewObservation) -> Observation:
    """Return the recorded one; raise ObservationRefused if the new one says something else."""
    if (known.value, known.n) == (new.value, new.n):
        return known
    message = (
        f"{known.metric} of version {known.version} at {known.at.isoformat()} is recorded as {known.value!r} "
        f"(n {known.n}), and what is recorded is never changed. Report another value with another time."
    )
    raise ObservationRefused(message, value=known.value)


def judge(observed: NewObservation, at: datetime, now: datetime, under_way: UnderWay | None) -> tuple[Verdict, str]:
    """Return what the observation of the champion says, and why: one line for a person."""
    if under_way is None or now >= under_way.until:
        return Verdict.NOT_JUDGED, "the champion is not on probation"
    if observed.metric != under_way.rule.metric:
        return Verdict.NOT_JUDGED, f"the probation is about {under_way.rule.metric}"
    if at < under_way.since:
        return Verdict.NOT_JUDGED, f"it is from before the probation, which began at {under_way.since.isoformat()}"
    if under_way.reference is None:
        return Verdict.NOT_JUDGED, _nothing_to_compare_with(under_way)
    loss = exact(observed.value) - exact(under_way.reference)
    return _compared(observed, under_way, loss if under_way.rule.lower_is_better else -loss)


def exact(value: float) -> Decimal:
    """Return the number as written in decimal, so that 0.9 is worse than 1 by 0.1 and not by slightly less."""
    return Decimal(repr(float(value)))


def _nothing_to_compare_with(under_way: UnderWay) -> str:
    metric, before = under_way.rule.metric, under_way.before
    if before is None:
        return f"there is nothing to compare it with: the gate did not decide on {metric}, and no version was before"
    hours = f"{under_way.rule.seconds / 3600:g}"
    return (
        f"there is nothing to compare it with: the gate did not decide on {metric}, and nobody reported it of version "
        f"{before} in the {hours} h before the move"
    )


def _compared(observed: NewObservation, under_way: UnderWay, loss: Decimal) -> tuple[Verdict, str]:
    ours, theirs = f"{observed.metric} {observed.value:.6g}", f"{under_way.reference:.6g}"
    if loss <= 0:
        return Verdict.HOLDS, f"{ours} is not worse than {theirs}"
    allowed = under_way.rule.max_worsening
    text = f"{ours} is worse than {theirs} by {float(loss):.6g}, and {allowed:.6g} is allowed"
    if loss <= exact(allowed):
        return Verdict.HOLDS, text
    return Verdict.BROKEN, text if under_way.before else f"{text}; there is no version to go back to"
