"""What the drill checks about the order of jobs can fail, and asks nothing of jobs that have a reason to wait."""

from collections import Counter
from collections.abc import Sequence

from tests.drill.invariants import MAY_OVERTAKE, Outcome, count_overtaking, nobody_waits_for_ever
from tests.drill.load import SHARED_KEYS
from tests.drill.records import JobRow, TransitionRow

MANY = [f"later-{number}" for number in range(MAY_OVERTAKE + 1)]


def counted(*moves: Sequence[str], key: str = "its own", mistimed: Sequence[str] = ()) -> int:
    """How often ``first`` was overtaken, when these jobs came (``+``) or began in this order."""
    came = [_move(job) for move in moves for job in move]
    jobs = {each.job_id: JobRow(each.job_id, "", key, "default", None, 1, None, None, None) for each in came}
    outcome = Outcome(jobs, [], came, {}, frozenset(), frozenset(), frozenset(mistimed))
    return count_overtaking(outcome)["first"]


def _move(job: str) -> TransitionRow:
    if job.startswith("+"):
        return TransitionRow(job.removeprefix("+"), None, "queued", 0, "")
    return TransitionRow(job, "queued", "starting", 1, "")


def test_those_that_came_later_and_began_earlier_are_counted() -> None:
    assert counted(["+first"], [f"+{job}" for job in MANY], MANY, ["first"]) == len(MANY)


def test_those_that_came_earlier_are_not() -> None:
    assert counted([f"+{job}" for job in MANY], ["+first"], MANY, ["first"]) == 0


def test_a_retry_is_counted_from_when_it_was_queued_again() -> None:
    assert counted(["+first", "first", "+a", "a", "+first", "+b", "b", "first"]) == 1


def test_a_shared_key_and_a_wrong_clock_are_reasons_to_wait() -> None:
    moves = (["+first"], [f"+{job}" for job in MANY], MANY, ["first"])
    assert counted(*moves, key=SHARED_KEYS[0]) == 0
    assert counted(*moves, mistimed=["first"]) == 0
    assert counted(*moves, mistimed=MANY) == 0


def test_few_may_overtake_and_many_are_a_violation() -> None:
    [found] = nobody_waits_for_ever(Counter({"first": len(MANY)}))
    assert found.job_id == "first"
    assert nobody_waits_for_ever(Counter({"first": MAY_OVERTAKE})) == []
