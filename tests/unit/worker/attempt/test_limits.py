"""What an attempt may use where its request says nothing, less or more."""

from typing import Any

import pytest

from shared.errors import Code, UserError
from shared.jobs.model import JobState
from shared.requests.parts import Resources
from shared.settings import Settings
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from tests.support.supervising import code_of, ended
from worker.attempt.limits import GIB, AttemptLimits, limits_of, usable_bytes
from worker.runners.seam import Capacity, Exit

HOST = Capacity(memory_bytes=40 * GIB, cpus=8)


def limits(resources: Resources | None = None, *, host: Capacity | None = HOST, **settings: object) -> AttemptLimits:
    return limits_of(resources or Resources(), Settings.load(_env_file=None, **settings), host, slots=2)


def test_by_default_an_attempt_has_its_share_of_the_memory_and_all_cores() -> None:
    assert limits() == AttemptLimits(memory_bytes=19 * GIB, cpus=None)


@pytest.mark.parametrize(("host_gib", "usable"), [(1, 0.5), (4, 3), (20, 19), (200, 190)])
def test_memory_is_left_for_the_system(host_gib: int, usable: float) -> None:
    assert usable_bytes(Capacity(host_gib * GIB, 8)) == usable * GIB


def test_a_request_may_ask_for_less_or_up_to_the_maximum_for_more() -> None:
    assert limits(Resources(memory="512m", cpus=0.5)) == AttemptLimits(GIB // 2, 0.5)
    assert limits(Resources(memory="38g", cpus=8.0)) == AttemptLimits(38 * GIB, 8)


def test_the_operator_s_defaults_and_maxima_take_the_place_of_the_host_s() -> None:
    operators: dict[str, Any] = {"attempt_memory_bytes": 2 * GIB, "attempt_memory_most_bytes": 4 * GIB}
    assert limits(attempt_cpus=2, attempt_cpus_most=4, **operators) == AttemptLimits(2 * GIB, 2)
    assert limits(Resources(memory="4g"), **operators).memory_bytes == 4 * GIB
    assert limits(attempt_memory_most_bytes=GIB, attempt_cpus_most=1.5) == AttemptLimits(GIB, 1.5)


@pytest.mark.parametrize(
    ("resources", "settings"),
    [
        (Resources(memory="39g"), {}),
        (Resources(cpus=8.5), {}),
        (Resources(memory="3g"), {"attempt_memory_most_bytes": 2 * GIB}),
        (Resources(cpus=3.0), {"attempt_cpus_most": 2}),
    ],
)
def test_more_than_the_maximum_is_refused_with_both_numbers(resources: Resources, settings: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        limits(resources, **settings)
    assert caught.value.code is Code.INVALID_PARAMETER
    assert {str(caught.value.facts[each]) for each in ("asked", "most")} <= set(_amounts(caught.value.message))


def _amounts(message: str) -> list[str]:
    words = message.replace(",", "").split()
    return words + [f"{number} GiB" for number in words]


def test_a_runner_that_limits_nothing_gets_the_request_s_wishes() -> None:
    assert limits(Resources(memory="99g"), host=None) == AttemptLimits(99 * GIB, None)


def test_an_attempt_starts_with_its_share(worker: FakeWorker) -> None:
    worker.host.capacity = HOST
    worker.run(worker.submit())
    [started] = worker.host.started
    assert (started.memory_bytes, started.pids) == (19 * GIB, 4096)


def test_a_request_for_more_than_the_host_has_ends_before_anything_is_fetched(worker: FakeWorker) -> None:
    worker.host.capacity = HOST
    job = ended(worker.run(worker.submit(resources={"memory": "64g"})))
    assert (job.state, code_of(job)) == (JobState.FAILED, Code.INVALID_PARAMETER)
    assert worker.source.requests == []


@pytest.mark.parametrize(("asked", "source"), [({}, "this host's default"), ({"memory": "1g"}, "(resources.memory)")])
def test_a_training_that_ran_out_of_memory_says_which_limit_and_whose(
    worker: FakeWorker, asked: dict[str, str], source: str
) -> None:
    worker.runner.plan = Script(exit=Exit(exit_code=137, oom_killed=True, memory_bytes=GIB))
    job = ended(worker.run(worker.submit(resources=asked)))
    assert code_of(job) is Code.OOM_KILLED
    assert job.reason is not None
    assert "1.00 GiB" in job.reason.message
    assert source in job.reason.message
