"""Workers that decide about one model at once, stopped, killed and cut off anywhere: champion never gets worse.

Nor is there none, every move is in the history exactly once, and each safeguard of the mover is missed without it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fakes.store import MemoryStore
from tests.simulation.contest import STEPS, Contests
from tests.simulation.machine import Plan, find_violation, host_settings, run_schedules
from tests.simulation.mutants import (
    CrowdedStore,
    ForgetfulStore,
    StubbornStore,
    find_nothing,
    move_champion_first,
    move_unrecorded,
)
from tests.support.length import rounds

CONTESTS = rounds(100, long=2000)
RECORDED = "worker.attempt.deciding.Deciding._find_recorded"
NONE: Mapping[str, object] = {}
MOST_CONTESTS = 2000  # until a mutant is found out


def plan_of(folder: Path, store: type[MemoryStore] = MemoryStore, mutants: Mapping[str, object] = NONE) -> Plan:
    return Plan(
        host_settings(folder, "gpu-1", "gpu-2"),
        lambda limits, clock: store(limits=limits, clock=clock),
        seed=1,
        steps=STEPS,
        kind=Contests,
        mutants=mutants,
    )


@pytest.mark.timeout(900)
def test_whoever_decides_and_dies_in_whichever_order_champion_only_gets_better(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    run_schedules(plan, CONTESTS)
    assert plan.schedules >= CONTESTS


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("store", "mutants", "violation"),
    [
        (CrowdedStore, NONE, "which is worse"),
        (StubbornStore, NONE, "which is worse|moved an alias by hand|succeeded, and says overtaken"),
        (
            ForgetfulStore,
            {RECORDED: find_nothing},
            "twice|and .* in the history",
        ),
    ],
)
def test_a_store_without_a_safeguard_of_the_mover_is_found_out(
    tmp_path: Path, store: type[MemoryStore], mutants: Mapping[str, object], violation: str
) -> None:
    assert re.search(violation, find_violation(plan_of(tmp_path, store, mutants), MOST_CONTESTS))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("replaced", "mutant", "violation"),
    [
        ("shared.promoting._move", move_champion_first, "the aliases are .* at the end"),
        ("worker.attempt.deciding.Deciding._as_new", move_unrecorded, "nobody had decided that"),
    ],
)
def test_a_mover_that_moves_too_early_is_found_out(
    tmp_path: Path, replaced: str, mutant: object, violation: str
) -> None:
    assert re.search(violation, find_violation(plan_of(tmp_path, mutants={replaced: mutant}), MOST_CONTESTS))
