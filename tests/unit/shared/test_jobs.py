"""The state machine and the retry policy, which touch nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Code, FailureType, InfrastructureError, UserError
from shared.jobs.model import FOLLOWING, SUPERVISED, TERMINAL, JobState, Reason, RetryPolicy

AWAY = Reason(Code.DOCKER_UNAVAILABLE, FailureType.INFRASTRUCTURE, "Docker does not answer.")
WRONG = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "Training ended with exit code 1.")
POLICY = RetryPolicy(
    max_attempts=5, on=frozenset({FailureType.INFRASTRUCTURE}), initial_delay_seconds=5, max_delay_seconds=30
)


def test_every_state_says_what_may_follow() -> None:
    assert set(FOLLOWING) == set(JobState)


def test_nothing_follows_an_end_and_only_an_end() -> None:
    assert {state for state in JobState if not FOLLOWING[state]} == TERMINAL
    assert {state for state in JobState if state.is_terminal} == TERMINAL


@pytest.mark.parametrize("state", sorted(set(JobState) - TERMINAL))
def test_every_job_can_fail_and_can_be_cancelled(state: JobState) -> None:
    assert JobState.FAILED in FOLLOWING[state]
    assert FOLLOWING[state] & {JobState.CANCELLED, JobState.CANCELLING} or state is JobState.CANCELLING


@pytest.mark.parametrize("state", sorted(SUPERVISED))
def test_a_supervised_job_is_not_cancelled_behind_its_workers_back(state: JobState) -> None:
    assert (JobState.CANCELLED in FOLLOWING[state]) is (state is JobState.CANCELLING)


@pytest.mark.parametrize("state", sorted(SUPERVISED))
def test_a_supervised_job_can_always_succeed(state: JobState) -> None:
    assert JobState.SUCCEEDED in FOLLOWING[state]


@pytest.mark.parametrize("state", sorted(JobState))
def test_only_a_queued_job_starts(state: JobState) -> None:
    assert (JobState.STARTING in FOLLOWING[state]) is (state is JobState.QUEUED)


@pytest.mark.parametrize("state", sorted(set(JobState) - TERMINAL))
def test_every_state_leads_to_an_end(state: JobState) -> None:
    reached, new = set[JobState](), {state}
    while new:
        reached |= new
        new = {after for before in new for after in FOLLOWING[before]} - reached
    assert reached >= TERMINAL


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UserError(Code.INVALID_PROJECT, "no MLproject"), FailureType.USER_ERROR),
        (InfrastructureError(Code.GIT_UNREACHABLE, "no answer"), FailureType.INFRASTRUCTURE),
    ],
)
def test_a_reason_says_what_its_error_said(error: UserError | InfrastructureError, kind: FailureType) -> None:
    assert Reason.of(error) == Reason(error.code, kind, error.message)


@pytest.mark.parametrize(("attempt", "bound"), [(1, 5), (2, 10), (3, 20), (4, 30)])
def test_the_wait_doubles_up_to_its_limit_and_is_jittered_in_full(attempt: int, bound: float) -> None:
    assert POLICY.delay_seconds(attempt, AWAY, 0.0) == 0
    assert POLICY.delay_seconds(attempt, AWAY, 0.5) == bound / 2


def test_after_the_last_attempt_none_follows() -> None:
    assert POLICY.delay_seconds(5, AWAY, 0.5) is None
    assert POLICY.delay_seconds(6, AWAY, 0.5) is None


def test_what_is_not_worth_another_attempt_gets_none() -> None:
    assert POLICY.delay_seconds(1, WRONG, 0.5) is None


@given(attempt=st.integers(1, 20), jitter=st.floats(0, 1, exclude_max=True), first=st.floats(0, 86400))
def test_no_wait_is_longer_than_the_limit(attempt: int, jitter: float, first: float) -> None:
    policy = RetryPolicy(21, frozenset({FailureType.INFRASTRUCTURE}), first, 300)
    delay = policy.delay_seconds(attempt, AWAY, jitter)
    assert delay is not None
    assert 0 <= delay <= 300
