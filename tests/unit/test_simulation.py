"""Thousands of schedules of faults, on fakes: nothing is lost and nothing comes twice, whatever happens in which order.

The parts of two hosts' workers are the real ones.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.store import MemoryStore
from tests.simulation.machine import Plan, find_violation, host_settings, run_schedules
from tests.simulation.mutants import (
    CarelessStore,
    ForgetfulRunner,
    GreedyStore,
    HastyStore,
    HeedlessRunner,
    UnfencedStore,
    UnfreezableRunner,
)
from tests.simulation.outside import MakeRunner, endless
from tests.simulation.parallel import run_seeds

SCHEDULES = 1250
SEEDS = (1, 2, 3, 4)
MUTANT_SEEDS = (4, 3, 2, 1)


def plan_of(folder: Path, store: type[MemoryStore] = MemoryStore, runner: MakeRunner = endless, *, seed: int) -> Plan:
    return Plan(
        host_settings(folder, "gpu-1", "gpu-2"),
        lambda limits, clock: store(limits=limits, clock=clock),
        make_runner=runner,
        seed=seed,
    )


def run_seed(folder: Path, seed: int) -> int:
    plan = plan_of(folder, seed=seed)
    run_schedules(plan, SCHEDULES)
    return plan.schedules


@pytest.mark.timeout(900)
def test_whatever_happens_in_whichever_order_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path) -> None:
    assert run_seeds(partial(run_seed, tmp_path), SEEDS) >= 5000


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("store", "violation"),
    [
        (UnfencedStore, "by a fenced-out writer"),
        (GreedyStore, "was adopted elsewhere|was taken from the holder of a lease"),
        (CarelessStore, "was started after its cancel|was started and is nobody's"),
        (HastyStore, "was given up .* after the store was back"),
    ],
)
def test_a_store_without_one_of_its_safeguards_is_found_out(
    tmp_path: Path, store: type[MemoryStore], violation: str
) -> None:
    plans = (plan_of(tmp_path, store, seed=seed) for seed in MUTANT_SEEDS)

    assert re.search(violation, first_violation(plans))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("runner", "violation"),
    [
        (ForgetfulRunner, "was started 2 times|run at once|share a GPU"),
        (HeedlessRunner, "was started after its cancel"),
        (UnfreezableRunner, "run at once"),
    ],
)
def test_a_runner_without_one_of_its_safeguards_is_found_out(
    tmp_path: Path, runner: MakeRunner, violation: str
) -> None:
    plans = (plan_of(tmp_path, runner=runner, seed=seed) for seed in MUTANT_SEEDS)

    assert re.search(violation, first_violation(plans))


def first_violation(plans: Iterator[Plan]) -> str:
    return next(filter(None, (find_violation(plan, SCHEDULES) for plan in plans)), "")
