"""Schedules of several seeds at once, on all cores."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def run_seeds(run: Callable[[int], int], seeds: Sequence[int]) -> int:
    """Call it with each seed in a process of its own; the sum of what it returns. The first failure is raised.

    It must be a function of a module, or a partial of one: the processes are fresh.
    """
    count = min(len(seeds), os.cpu_count() or 1)
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(run, seeds))
