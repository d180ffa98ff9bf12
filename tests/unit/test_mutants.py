"""How the survivors of `make mutants` are compared with those that are explained."""

from collections import Counter

from tests.mutants.__main__ import count, differences

RESULTS = """
    shared.scheduling.limits.x__fits__mutmut_17: survived
    shared.scheduling.limits.x__fits__mutmut_20: survived
    shared.scheduling.limits.x_allot__mutmut_3: no tests
    shared.scheduling.limits.x_allot__mutmut_4: timeout
"""


def test_survivors_are_counted_by_function_and_those_without_a_test_with_them() -> None:
    assert count(RESULTS) == {"shared.scheduling.limits.x__fits": 2, "shared.scheduling.limits.x_allot": 1}


def test_a_new_survivor_and_one_that_is_killed_by_now_are_both_told() -> None:
    explained = Counter({"shared.scheduling.limits.x__fits": 1, "shared.scheduling.gpus.x_free_gpus": 1})
    assert differences(count(RESULTS), explained) == [
        "shared.scheduling.limits.x__fits: 1 more survive than survivors.toml explains",
        "shared.scheduling.limits.x_allot: 1 more survive than survivors.toml explains",
        "shared.scheduling.gpus.x_free_gpus: 1 of those in survivors.toml are killed by now",
    ]
    assert differences(explained, explained) == []
