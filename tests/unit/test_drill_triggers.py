"""The drill's checks of triggers find what they are for."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.drill.records import TriggerEventRow, TriggerRow
from tests.drill.ticking import firings_and_jobs_agree, ticks_are_whole

CREATED_AT = datetime(2030, 1, 1, tzinfo=UTC)
TRIGGER = TriggerRow("1", "nightly", CREATED_AT, 10)
END = CREATED_AT + timedelta(seconds=95)  # of the ticks, the first three must be there by now


def tick(number: int, outcome: str = "missed", reason: str = "", job_id: str | None = None) -> TriggerEventRow:
    at = CREATED_AT + timedelta(seconds=10 * number)
    return TriggerEventRow("1", f"tick {at}", at, outcome, reason, job_id)


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([tick(1), tick(2), tick(3)], 0),
        ([tick(1), tick(2), tick(3), tick(4)], 0),
        ([tick(3, reason="no worker looked at that time, nor at the 2 times before it")], 0),
        ([tick(3, reason="no worker looked at that time, nor at the 1 times before it")], 1),
        ([tick(1), tick(3)], 1),
        ([tick(1), tick(2), tick(3), tick(5)], 1),
        ([tick(1), tick(2)], 1),
        ([], 1),
        ([tick(1), tick(2), tick(2), tick(3)], 1),
    ],
)
def test_a_tick_without_a_row_and_one_with_two_are_found(rows: list[TriggerEventRow], wrong: int) -> None:
    assert len(ticks_are_whole(TRIGGER, rows, END)) == wrong


@pytest.mark.parametrize(
    ("rows", "jobs", "wrong"),
    [
        ([tick(1, "fired", job_id="a"), tick(2, "skipped")], {"a": "nightly"}, 0),
        ([tick(1, "fired", job_id="a")], {}, 1),
        ([tick(1, "fired", job_id="a")], {"a": "another"}, 1),
        ([tick(1, "fired", job_id="a")], {"a": "nightly", "b": "nightly"}, 1),
        ([tick(1, "fired", job_id="a"), tick(2, "fired", job_id="a")], {"a": "nightly"}, 1),
        ([tick(1, "fired")], {}, 1),
        ([tick(1, "skipped", job_id="a")], {"a": "nightly"}, 1),
    ],
)
def test_firings_and_jobs_that_do_not_agree_are_found(
    rows: list[TriggerEventRow], jobs: dict[str, str], wrong: int
) -> None:
    assert len(firings_and_jobs_agree({"1": "nightly"}, rows, jobs)) == wrong
