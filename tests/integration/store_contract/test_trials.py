"""What every job store does with test messages to alert channels."""

from dataclasses import replace

import pytest

from shared.alerts.model import TRIAL_SECONDS, Trial, TrialState
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.stores import MakeStore
from tests.support.threads import at_once

HOUR_SECONDS = 3600


@pytest.fixture
def clock() -> HeldClock:
    """The time of ``trials``."""
    return HeldClock()


@pytest.fixture
def trials(make_store: MakeStore, clock: HeldClock) -> JobStore:
    """A store whose time is held."""
    return make_store(clock=clock)


def _states(store: JobStore, asked: list[Trial]) -> list[tuple[str, str, str]]:
    return [(each.channel, each.state, each.cause) for each in store.list_trials([trial.id for trial in asked])]


def test_a_trial_is_taken_once_and_ends_as_its_worker_says(trials: JobStore, clock: HeldClock) -> None:
    asked = list(trials.ask_for_trials(["team-b", "team-a"]))
    assert _states(trials, asked) == [("team-a", "waiting", ""), ("team-b", "waiting", "")]
    taken = trials.take_trial({"team-a"})
    assert taken is not None
    assert (taken.channel, taken.at) == ("team-a", clock.now)
    assert trials.take_trial({"team-a"}) is None
    assert _states(trials, asked) == [("team-a", "taken", ""), ("team-b", "waiting", "")]
    trials.end_trial(replace(taken, state=TrialState.REFUSED, cause="HTTP 404"))
    assert _states(trials, asked)[0] == ("team-a", "refused", "HTTP 404")


def test_the_oldest_trial_goes_first_and_one_that_nobody_waits_for_is_not_sent(
    trials: JobStore, clock: HeldClock
) -> None:
    [first] = trials.ask_for_trials(["team-a"])
    clock.pass_seconds(TRIAL_SECONDS - 1)
    [second] = trials.ask_for_trials(["team-b"])
    clock.pass_seconds(0.5)
    [third] = trials.ask_for_trials(["team-a"])
    assert (taken := trials.take_trial({"team-a", "team-b"})) is not None
    assert taken.id == first.id
    clock.pass_seconds(TRIAL_SECONDS - 0.5)
    assert (taken := trials.take_trial({"team-a", "team-b"})) is not None
    assert taken.id == third.id
    assert trials.take_trial({"team-a", "team-b"}) is None
    assert _states(trials, [second]) == [("team-b", "waiting", "")]


def test_of_many_workers_one_gets_a_trial(trials: JobStore) -> None:
    trials.ask_for_trials(["team-a"])
    taken = at_once(8, lambda _: trials.take_trial({"team-a"}))
    assert len([trial for trial in taken if trial]) == 1


def test_old_trials_are_forgotten(trials: JobStore, clock: HeldClock) -> None:
    asked = list(trials.ask_for_trials(["team-a"]))
    clock.pass_seconds(HOUR_SECONDS + 1)
    trials.ask_for_trials(["team-b"])
    assert trials.list_trials([trial.id for trial in asked]) == []
    trials.end_trial(replace(asked[0], state=TrialState.SENT))
    assert trials.list_trials([trial.id for trial in asked]) == []
