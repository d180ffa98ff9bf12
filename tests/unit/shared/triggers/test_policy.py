"""The policy against a model that walks from minute to minute and asks each rule by itself."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs.triggers import Kind, Occurrence, Outcome
from shared.triggers.fields import Policy, Window
from shared.triggers.policy import DAYS, Facts, begin_of_day, decide
from tests.support.length import rounds

MINUTE = timedelta(minutes=1)
BEGINS = {  # a day before clocks change, and one of a usual week
    "Europe/Berlin": (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 10, 3, tzinfo=UTC), datetime(2026, 4, 4, tzinfo=UTC)),
    "Asia/Beirut": (datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)),  # at midnight
    "UTC": (datetime(2026, 6, 1, tzinfo=UTC),),
}
WALKED_DAYS = 11


@cache
def walls(zone: str, begin: datetime) -> list[datetime]:
    """What a clock on the wall shows in each minute from two days before ``begin``."""
    first = begin - timedelta(days=2)
    at = ZoneInfo(zone)
    return [(first + n * MINUTE).astimezone(at).replace(tzinfo=None) for n in range((WALKED_DAYS + 3) * 24 * 60)]


@cache
def first_minute(zone: str, begin: datetime, wall: datetime) -> int:
    """The first minute in which the wall shows that or, if it never does, a later time."""
    shown = walls(zone, begin)
    return next((n for n, each in enumerate(shown) if each >= wall), len(shown))


@dataclass(frozen=True)
class Model:
    """Everything that the rules depend on, in whole minutes."""

    zone: str
    begin: datetime
    policy: Policy
    fired: tuple[datetime, ...]  # the oldest first

    def minute(self, at: datetime) -> int:
        return (at - self.begin) // MINUTE + 2 * 24 * 60

    def wall(self, at: datetime) -> datetime:
        return walls(self.zone, self.begin)[self.minute(at)]

    def first(self, wall: datetime) -> int:
        return first_minute(self.zone, self.begin, wall)

    def end(self, wall: datetime) -> int:
        """The same, but a time that is skipped is as long after the gap as it is after its begin."""
        shown, at = walls(self.zone, self.begin), self.first(wall)
        if at == len(shown) or shown[at] == wall:
            return at
        return self.first(wall + (shown[at] - shown[at - 1] - MINUTE))

    def is_open(self, at: datetime) -> bool:
        window = self.policy.window
        if window is None:
            return True
        return any(
            self._is_open_since(day, window, at)
            for day in (self.wall(at).date(), self.wall(at).date() - timedelta(days=1))
        )

    def _is_open_since(self, day: date, window: Window, at: datetime) -> bool:
        if window.days is not None and DAYS[day.weekday()] not in window.days:
            return False
        begins, ends = (time.fromisoformat(each) for each in (window.hours or "00:00-00:00").split("-"))
        until = datetime.combine(day if ends > begins else day + timedelta(days=1), ends)
        return self.first(datetime.combine(day, begins)) <= self.minute(at) < self.end(until)

    def may_fire(self, at: datetime, delayed: datetime) -> bool:
        policy, today = self.policy, [each for each in self.fired if self.wall(each).date() == self.wall(at).date()]
        return (
            at >= delayed
            and (not self.fired or (at - self.fired[-1]).total_seconds() >= policy.cooldown)
            and (policy.max_per_day is None or len(today) < policy.max_per_day)
            and self.is_open(at)
        )

    def facts(self, now: datetime, **known: Any) -> Facts:
        today = [each for each in self.fired if each >= begin_of_day(self.policy, now)]
        return Facts(now, self.fired[-1] if self.fired else None, len(today), **known)


MINUTES_OF_DAY = st.integers(0, 24 * 60 - 1).map(lambda n: f"{n // 60:02}:{n % 60:02}")
HOURS = st.tuples(MINUTES_OF_DAY, MINUTES_OF_DAY).filter(lambda each: each[0] != each[1]).map("-".join)
NEAR_CHANGES = st.tuples(
    *[st.sampled_from(["00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "02:45", "03:15"])] * 2
)
WINDOWS = st.builds(
    Window,
    hours=st.none() | HOURS | NEAR_CHANGES.filter(lambda each: each[0] != each[1]).map("-".join),
    days=st.none() | st.frozensets(st.sampled_from(DAYS), min_size=1),
)


@st.composite
def models(draw: st.DrawFn) -> Model:
    zone = draw(st.sampled_from(sorted(BEGINS)))
    begin = draw(st.sampled_from(BEGINS[zone]))
    policy = Policy(
        cooldown=60 * draw(st.sampled_from([0, 0, 5, 600, 3000])),
        window=draw(st.none() | WINDOWS),
        max_per_day=draw(st.none() | st.integers(1, 3)),
        time_zone=zone,
    )
    fired = draw(st.lists(st.integers(-24 * 60, 0), max_size=4))
    return Model(zone, begin, policy, tuple(begin + minutes * MINUTE for minutes in sorted(fired)))


@settings(max_examples=rounds(150, long=5000), deadline=None)
@given(model=models(), after=st.integers(0, 36 * 60))
def test_what_waits_fires_in_the_first_minute_in_which_every_rule_allows_it(model: Model, after: int) -> None:
    """With nothing new it fires in the end, having been asked again only when it was told."""
    now = model.begin + after * MINUTE
    occurrence = Occurrence("push 1", now)
    expected = now
    while not model.may_fire(expected, occurrence.at):
        expected += MINUTE
    for _ in range(40):
        verdict = decide("nightly", Kind.GIT, model.policy, occurrence, model.facts(now))
        if verdict.outcome is Outcome.FIRED:
            break
        assert verdict.outcome is Outcome.WAITING
        assert verdict.until is not None
        assert now < verdict.until <= expected, verdict
        assert getattr(model.policy, verdict.rule)
        now = verdict.until
    assert now == expected


@settings(max_examples=rounds(100, long=3000), deadline=None)
@given(model=models(), after=st.integers(0, 36 * 60), kind=st.sampled_from([Kind.CRON, Kind.EVERY]))
def test_a_tick_fires_where_it_is_allowed_and_never_waits(model: Model, after: int, kind: Kind) -> None:
    now = model.begin + after * MINUTE
    verdict = decide("nightly", kind, model.policy, Occurrence("tick", now), model.facts(now))
    assert verdict.outcome is (Outcome.FIRED if model.may_fire(now, now) else Outcome.SKIPPED)
    assert verdict.until is None


@settings(deadline=None)
@given(key=st.text(max_size=20), name=st.text(max_size=20), jitter=st.floats(0.001, 86400))
def test_jitter_is_the_same_for_everybody_and_within_its_bound(key: str, name: str, jitter: float) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    first = decide(name, Kind.GIT, Policy(jitter=jitter), Occurrence(key, at), Facts(at))
    assert first == decide(name, Kind.GIT, Policy(jitter=jitter), Occurrence(key, at), Facts(at))
    until = first.until or at
    assert at <= until <= at + timedelta(seconds=jitter)
    again = decide(name, Kind.GIT, Policy(jitter=jitter), Occurrence(key, at), Facts(until))
    assert again.outcome is Outcome.FIRED
