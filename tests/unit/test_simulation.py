"""Thousands of schedules of faults, on fakes: nothing is lost and nothing comes twice, whatever happens in which order.

The parts of two hosts' workers are the real ones.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.fakes.store import MemoryStore
from tests.simulation.machine import Plan, find_violation, host_settings, run_schedules
from tests.simulation.mutants import (
    BelievingFinishing,
    CarelessStore,
    ForgetfulRunner,
    GreedyStore,
    HastyStore,
    HeedlessRunner,
    NamesakeStore,
    UnfencedStore,
    UnfreezableRunner,
)
from tests.simulation.outside import MakeRunner, endless
from tests.simulation.parallel import run_seeds
from tests.simulation.world import KEYS, LEASE_SECONDS, SWEEP_SECONDS, NewSubmission, World
from tests.support.length import IS_LONG, rounds

SCHEDULES = rounds(150, long=1250)  # of each seed
MOST_SCHEDULES = 1250  # until a mutant is found out
SEEDS = (1, 2, 3, 4)
MUTANT_SEEDS = (4, 3, 2, 1)
NAMESAKE_SCHEDULES = rounds(20, long=50)

HOSTS, NAMESAKES = ("gpu-1", "gpu-2"), ("gpu-1", "gpu-1")


def plan_of(
    folder: Path,
    store: type[MemoryStore] = MemoryStore,
    runner: MakeRunner = endless,
    *,
    seed: int,
    hosts: Sequence[str] = HOSTS,
) -> Plan:
    return Plan(
        host_settings(folder, *hosts),
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
    assert run_seeds(partial(run_seed, tmp_path), SEEDS) >= len(SEEDS) * SCHEDULES


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("store", "violation"),
    [
        (UnfencedStore, "by a fenced-out writer"),
        (GreedyStore, "was adopted elsewhere|was taken from the holder of a lease"),
        *([(CarelessStore, "was started after its cancel|was started and is nobody's")] if IS_LONG else []),
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
        *([(HeedlessRunner, "was started after its cancel")] if IS_LONG else []),
        (UnfreezableRunner, "run at once"),
    ],
)
def test_a_runner_without_one_of_its_safeguards_is_found_out(
    tmp_path: Path, runner: MakeRunner, violation: str
) -> None:
    plans = (plan_of(tmp_path, runner=runner, seed=seed) for seed in MUTANT_SEEDS)

    assert re.search(violation, first_violation(plans))


def test_a_worker_that_believes_an_exit_code_whose_command_never_began_is_found_out(tmp_path: Path) -> None:
    plans = (replace(plan_of(tmp_path, seed=seed), finishing=BelievingFinishing) for seed in MUTANT_SEEDS)

    assert "never began and succeeded" in first_violation(plans)


@pytest.mark.timeout(900)
def test_of_two_machines_with_one_name_neither_goes_on_with_what_the_other_trains(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, seed=1, hosts=NAMESAKES)

    run_schedules(plan, NAMESAKE_SCHEDULES)

    assert plan.schedules >= NAMESAKE_SCHEDULES


def test_a_store_that_tells_machines_apart_by_their_name_alone_is_found_out(tmp_path: Path) -> None:
    plans = (plan_of(tmp_path, NamesakeStore, seed=seed, hosts=NAMESAKES) for seed in MUTANT_SEEDS)

    assert re.search("was adopted elsewhere|run at once", first_violation(plans))


def test_a_machine_with_a_killed_worker_and_a_clone_trains_its_job_once(tmp_path: Path) -> None:
    assert let_a_clone_take_the_name(tmp_path, MemoryStore) == []


def test_a_clone_that_only_has_the_right_name_trains_a_job_twice(tmp_path: Path) -> None:
    violations = let_a_clone_take_the_name(tmp_path, NamesakeStore)

    assert any("2 containers of" in each and "run at once" in each for each in violations)


def let_a_clone_take_the_name(folder: Path, store: type[MemoryStore]) -> Sequence[str]:
    """What is violated when the worker is killed whose job trains, and its machine's clone asks for the name."""
    world = World(host_settings(folder, *NAMESAKES), lambda limits, clock: store(limits=limits, clock=clock))
    world.submit(NewSubmission(KEYS[0], gpus=0, priority=0, is_sent=True))
    world.advance_fairly(SWEEP_SECONDS)
    original, clone = sorted(world.hosts, key=lambda host: len(host.live()), reverse=True)
    assert original.live()
    world.kill(original, 0)
    for _ in range(5):
        world.start(clone)
        world.advance_fairly(LEASE_SECONDS)
        world.sweep_all()
    assert world.store.live_workers(within_seconds=LEASE_SECONDS) == 1
    assert original.live()
    world.close()
    return world.oracle.violations


def first_violation(plans: Iterator[Plan]) -> str:
    return next(filter(None, (find_violation(plan, MOST_SCHEDULES) for plan in plans)), "")
