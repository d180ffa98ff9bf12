"""A store of each kind on a clock that stands still."""

import pytest

from shared.alerts.model import AlertEvent, Alerting
from shared.jobs.store import JobStore
from shared.scheduling.limits import Limits
from tests.support.clocks import HeldClock
from tests.support.stores import MakeStore

ALL_EVENTS = Alerting(frozenset(AlertEvent), frozenset({"discord"}))


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``store``: the first of January, a Tuesday, at midnight."""
    return HeldClock()


@pytest.fixture
def store(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store on that clock."""
    return make_store(clock=clock, limits=Limits(per_key=99), alerting=ALL_EVENTS)
