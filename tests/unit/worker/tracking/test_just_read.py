"""What is kept of a run between two steps of the service."""

import pytest

from worker.tracking.just_read import SECONDS, JustRead
from worker.tracking.records import Run, RunData, RunInfo


def a_run(run_id: str) -> Run:
    return Run(RunInfo(run_id, "1", "RUNNING", None, "active", "mlflow-artifacts:/1"), RunData({}, {}))


def test_a_run_that_was_just_read_is_given_once() -> None:
    just_read, run = JustRead(), a_run("a")
    just_read.keep(run)
    assert just_read.take("b") is None
    assert just_read.take("a") is run
    assert just_read.take("a") is None


@pytest.mark.parametrize(("later", "is_known"), [(SECONDS, True), (SECONDS + 0.1, False)])
def test_a_run_that_was_read_a_while_ago_is_read_again(later: float, is_known: bool) -> None:
    now = [100.0]
    just_read = JustRead(clock=lambda: now[0])
    just_read.keep(a_run("a"))
    now[0] += later
    assert (just_read.take("a") is not None) is is_known


def test_runs_that_nobody_takes_do_not_add_up() -> None:
    now = [100.0]
    just_read = JustRead(clock=lambda: now[0])
    for number in range(5):
        just_read.keep(a_run(str(number)))
        now[0] += SECONDS + 1
    assert len(just_read) == 1
