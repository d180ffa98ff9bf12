"""The gate's decisions, apart from any registry."""

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mypackage.gate import Challenger, Champion, DecisionRecord, decide
from mypackage.utility import as_number, get_combination, is_lower_better

finite = st.floats(allow_nan=False, allow_infinity=False, max_value=1e300, min_value=-1e300)
anything = st.one_of(st.floats(), st.just(sys.float_info.max), st.just(-sys.float_info.max))
maybe_champion = st.one_of(st.none(), st.builds(Champion, st.just("3"), st.one_of(st.none(), anything)))


def challenger(value: float, *, is_new_model: bool = False) -> Challenger:
    return Challenger("x", "accuracy", value, is_new_model=is_new_model)


@pytest.mark.parametrize(
    ("value", "champion", "lower_is_better", "reason"),
    [
        (0.95, 0.91, False, "promoted: 0.95 > 0.91"),
        (0.91, 0.94, False, "not promoted: 0.91 < 0.94"),
        (0.94, 0.94, False, "not promoted: 0.94 = 0.94 (tie)"),
        (0.91, 0.94, True, "promoted: 0.91 < 0.94 (lower is better)"),
        (0.94, 0.91, True, "not promoted: 0.94 > 0.91 (lower is better)"),
        (0.94, 0.94, True, "not promoted: 0.94 = 0.94 (tie)"),
        (0.900001, 0.9, False, "promoted: 0.900001 > 0.9"),
        (math.nan, 0.9, False, "not promoted: accuracy is nan, which cannot be compared"),
        (math.inf, 0.9, False, "not promoted: accuracy is inf, which cannot be compared"),
        (-math.inf, 0.9, True, "not promoted: accuracy is -inf, which cannot be compared"),
    ],
)
def test_each_comparison_is_explained_in_one_line(
    value: float, champion: float, lower_is_better: bool, reason: str
) -> None:
    decision = decide(challenger(value), Champion("3", champion), lower_is_better=lower_is_better)
    assert decision.reason == reason
    assert decision.promoted == reason.startswith("promoted")


def test_the_first_version_of_a_new_model_is_promoted() -> None:
    decision = decide(challenger(0.95, is_new_model=True), None, lower_is_better=False)
    assert decision.promoted
    assert decision.reason == "promoted: first version of 'x' (accuracy 0.95)"


def test_a_model_with_versions_but_no_champion_gets_its_first_champion() -> None:
    decision = decide(challenger(0.95), None, lower_is_better=False)
    assert decision.promoted
    assert decision.reason == "promoted: first champion of 'x' (accuracy 0.95)"


def test_nan_is_not_promoted_even_without_a_champion() -> None:
    assert not decide(challenger(math.nan, is_new_model=True), None, lower_is_better=False).promoted


def test_a_champion_without_the_metric_stays_and_the_reason_says_what_to_do() -> None:
    decision = decide(
        challenger(0.95), Champion("3", None, "its run r has no metric 'accuracy'"), lower_is_better=False
    )
    assert not decision.promoted
    assert "version 3 of 'x', and its run r has no metric 'accuracy'" in decision.reason
    assert "remove the alias" in decision.reason


def test_infinity_is_known_again_when_the_sql_store_returns_the_largest_float_for_it() -> None:
    assert not decide(challenger(sys.float_info.max), None, lower_is_better=False).promoted
    assert (
        "nothing to compare" in decide(challenger(1.0), Champion("3", sys.float_info.max), lower_is_better=True).reason
    )


@given(value=anything, champion=maybe_champion, lower_is_better=st.booleans())
def test_what_is_promoted_is_finite_and_strictly_better_or_the_first(
    value: float, champion: Champion | None, lower_is_better: bool
) -> None:
    decision = decide(challenger(value), champion, lower_is_better=lower_is_better)
    if not decision.promoted:
        return
    assert math.isfinite(value)
    if champion is not None:
        assert champion.value is not None
        assert value < champion.value if lower_is_better else value > champion.value


@given(value=finite, champion=finite, lower_is_better=st.booleans())
def test_a_strictly_better_value_is_always_promoted(value: float, champion: float, lower_is_better: bool) -> None:
    assume(value < champion if lower_is_better else value > champion)
    assert decide(challenger(value), Champion("3", champion), lower_is_better=lower_is_better).promoted


@given(value=anything, champion=anything)
def test_the_directions_mirror_each_other(value: float, champion: float) -> None:
    upward = decide(challenger(value), Champion("3", champion), lower_is_better=False)
    downward = decide(challenger(-value), Champion("3", -champion), lower_is_better=True)
    assert upward.promoted == downward.promoted


@given(left=finite, right=finite, lower_is_better=st.booleans())
@example(left=1.0, right=math.nextafter(1.0, 2.0), lower_is_better=False)
def test_of_two_models_at_most_one_beats_the_other(left: float, right: float, lower_is_better: bool) -> None:
    one = decide(challenger(left), Champion("3", right), lower_is_better=lower_is_better)
    other = decide(challenger(right), Champion("3", left), lower_is_better=lower_is_better)
    assert one.promoted + other.promoted == (left != right)


@given(value=finite, champion=finite)
def test_the_two_numbers_of_a_comparison_never_look_the_same(value: float, champion: float) -> None:
    assume(value != champion)
    words = decide(challenger(value), Champion("3", champion), lower_is_better=False).reason.split()
    assert words[-3] != words[-1]


def test_the_record_is_json_without_nan() -> None:
    record = DecisionRecord(False, "not promoted", "m", "lower_is_better", None, 0.9, "3", "x", None)
    assert json.loads(record.to_json())["challenger"] is None


@pytest.mark.parametrize(
    ("lower", "expected"),
    [(True, True), (False, False), ("true", True), ("False", False), ("TRUE", True), (" false\n", False)],
)
def test_lower_is_a_bool_or_its_text_in_any_case(lower: bool | str, expected: bool) -> None:
    assert is_lower_better(lower) is expected


@pytest.mark.parametrize("lower", ["", "yes", "0", None, 1, 0.0])
def test_any_other_lower_is_an_error(lower: str) -> None:
    with pytest.raises(ValueError, match="must be True or False"):
        is_lower_better(lower)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0)])
def test_a_metric_is_any_scalar(value: object) -> None:
    assert as_number(value, "m") == 1.0


@pytest.mark.parametrize("value", [None, "high", [1.0], {}])
def test_a_metric_that_is_no_number_names_itself(value: object) -> None:
    with pytest.raises(ValueError, match=r"metric 'm'.*must be one number"):
        as_number(value, "m")


def test_get_combination_takes_one_of_each_list_in_order() -> None:
    assert get_combination([1, 2], ["a", "b"]) == [[1, "a"], [1, "b"], [2, "a"], [2, "b"]]
    assert get_combination([1], [2], [3]) == [[1, 2, 3]]
    assert get_combination([1], []) == []
