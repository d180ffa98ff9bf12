"""What ends a preparation, and what it may no longer do then."""

import threading

import pytest

from shared.errors import AttemptCancelled, LeaseLost
from worker.interruption import Interruption, SideWork, WorkerStopping

CANCELLED = AttemptCancelled.on_request()
LOST = LeaseLost("Another worker has it.")


def test_nothing_is_raised_before_there_is_a_reason_and_the_first_one_stays() -> None:
    interruption = Interruption()
    interruption.check()
    assert interruption.interrupt(CANCELLED)
    assert interruption.interrupt(LOST)
    with pytest.raises(AttemptCancelled):
        interruption.check()


def test_what_was_interrupted_never_begins() -> None:
    interruption = Interruption()
    interruption.interrupt(WorkerStopping())
    with pytest.raises(WorkerStopping):
        interruption.begin()


def test_what_has_begun_is_not_interrupted_any_more() -> None:
    interruption = Interruption()
    interruption.begin()
    assert not interruption.interrupt(CANCELLED)
    interruption.check()


def test_what_the_store_does_not_permit_never_begins() -> None:
    interruption = Interruption(lambda: False)
    with pytest.raises(AttemptCancelled):
        interruption.begin()
    assert interruption.is_cancelled


def test_an_interruption_between_the_permission_and_the_start_is_in_time() -> None:
    def permit() -> bool:
        return interruption.interrupt(WorkerStopping())

    interruption = Interruption(permit)
    with pytest.raises(WorkerStopping):
        interruption.begin()


def test_what_cannot_look_is_broken_off_from_outside() -> None:
    interruption, broken_off = Interruption(), threading.Event()
    with interruption.stopping(broken_off.set):
        interruption.interrupt(CANCELLED)
        assert broken_off.is_set()


@pytest.mark.parametrize(
    ("error", "is_left_behind", "is_cleaned"),
    [
        (CANCELLED, False, True),
        (CANCELLED, True, True),  # nobody else gets a cancelled job
        (WorkerStopping(), False, True),
        (WorkerStopping(), True, False),  # another worker may be at it by now
        (LOST, False, False),
    ],
)
def test_only_what_is_nobody_elses_is_cleared_away(error: Exception, is_left_behind: bool, is_cleaned: bool) -> None:
    interruption, cleaned = Interruption(), list[bool]()

    def end() -> None:
        interruption.interrupt(error)
        if is_left_behind:
            interruption.leave_behind()
        interruption.check()

    with pytest.raises(type(error)), interruption.cleaning(lambda: cleaned.append(True)):
        end()
    assert bool(cleaned) is is_cleaned


def test_what_fails_by_itself_is_cleared_away_by_whoever_does_that_anyway() -> None:
    cleaned = list[bool]()
    with pytest.raises(OSError, match="disk"), Interruption().cleaning(lambda: cleaned.append(True)):
        raise OSError("disk")
    assert not cleaned


def test_work_at_the_side_returns_or_raises_where_it_is_waited_for() -> None:
    good, bad = SideWork(lambda: 3, name="good"), SideWork(lambda: 1 // 0, name="bad")
    for work in (good, bad):
        work.start()
        assert work.wait(10)
    assert good.result() == 3
    with pytest.raises(ZeroDivisionError):
        bad.result()
