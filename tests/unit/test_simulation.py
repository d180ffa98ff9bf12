"""Hundreds of schedules of faults, on fakes: nothing is lost and nothing comes twice, whatever happens in which order.

The parts of two hosts' workers are the real ones.
"""

from pathlib import Path

import pytest

from tests.fakes.store import MemoryStore
from tests.simulation.machine import Plan, host_settings, run_schedules
from tests.simulation.mutants import (
    ForgetfulRunner,
    GreedyStore,
    HastyStore,
    UnfencedStore,
    UnfreezableRunner,
)
from tests.simulation.outside import MakeRunner, endless

SCHEDULES = 125
SEEDS = (1, 2, 3, 4)
MUTANT_SEED = 2
ENOUGH = 3000  # a safeguard that is missing shows within so many schedules


def plan_of(folder: Path, store: type[MemoryStore] = MemoryStore, runner: MakeRunner = endless, *, seed: int) -> Plan:
    return Plan(
        host_settings(folder, "gpu-1", "gpu-2"),
        lambda limits, clock: store(limits=limits, clock=clock),
        make_runner=runner,
        seed=seed,
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_in_whichever_order_nothing_is_lost_and_nothing_comes_twice(tmp_path: Path, seed: int) -> None:
    plan = plan_of(tmp_path, seed=seed)

    run_schedules(plan, SCHEDULES)

    assert plan.schedules >= SCHEDULES


@pytest.mark.timeout(900)
@pytest.mark.parametrize("store", [UnfencedStore, GreedyStore, HastyStore])
def test_a_store_without_one_of_its_safeguards_is_found_out(tmp_path: Path, store: type[MemoryStore]) -> None:
    plan = plan_of(tmp_path, store, seed=MUTANT_SEED)

    with pytest.raises(AssertionError):
        run_schedules(plan, ENOUGH, is_shrunk=False)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("runner", [ForgetfulRunner, UnfreezableRunner])
def test_a_runner_without_one_of_its_safeguards_is_found_out(tmp_path: Path, runner: MakeRunner) -> None:
    plan = plan_of(tmp_path, runner=runner, seed=MUTANT_SEED)

    with pytest.raises(AssertionError):
        run_schedules(plan, ENOUGH, is_shrunk=False)
