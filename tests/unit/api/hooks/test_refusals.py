"""Notes that something was refused are few, however much of it is sent."""

from datetime import UTC, datetime

from api.hooks.refusals import EVERY_SECONDS, OTHER_REASON_SECONDS, Refusals
from shared.jobs.triggers import Occurrence
from tests.unit.api.hooks.senders import WORD, Desk


def test_one_trigger_is_told_of_refusals_every_ten_seconds_at_most(desk: Desk) -> None:
    clock = [1000.0]
    desk.trigger("a", WORD, signal={})
    desk.trigger("b", WORD, signal={})
    refusals, about = Refusals(desk.store, lambda: clock[0]), Occurrence("", datetime.now(UTC))
    for name in ("a", "a", "b", "deleted", "deleted"):
        refusals.note(name, about, "signature wrong")
    clock[0] += EVERY_SECONDS - 0.1
    refusals.note("a", about, "signature wrong")
    assert [event.times for name in "ab" for event in desk.store.trigger_events(name, limit=9)] == [1, 1]
    clock[0] += 0.1
    refusals.note("a", about, "signature wrong")
    [event] = desk.store.trigger_events("a", limit=9)
    assert event.times == 2


def test_two_reasons_in_turn_do_not_push_out_other_events(desk: Desk) -> None:
    clock = [1000.0]
    desk.trigger("a", WORD, signal={})
    refusals, about = Refusals(desk.store, lambda: clock[0]), Occurrence("", datetime.now(UTC))
    while clock[0] < 1000.0 + OTHER_REASON_SECONDS:
        for reason in ("signature wrong", "signature too old"):
            refusals.note("a", about, reason)
            clock[0] += EVERY_SECONDS
    assert [reason for _, reason in desk.events("a")] == ["signature wrong"]
    refusals.note("a", about, "signature too old")
    assert [reason for _, reason in desk.events("a")] == ["signature too old", "signature wrong"]
