"""The gate's decisions, apart from any registry."""

import json
import math
import sys
from dataclasses import replace
from typing import Any

import pytest

from mypackage.gate.decision import (
    Challenger,
    Champion,
    DecisionRecord,
    GuardrailCheck,
    check_guardrail,
    decide,
)
from mypackage.gate.numbers import is_better, show
from mypackage.gate.rules import HIGHER, LOWER, NOTE, Guardrail, Rules, direction


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
        (0.91234567, 0.94, True, "promoted: 0.9123 < 0.94 (lower is better)"),
        (0.9123456, 0.9123454, False, "promoted: 0.912346 > 0.912345"),
        (0.9123456786, 0.9123456784, False, "promoted: 0.912345679 > 0.912345678"),
        (math.nextafter(0.1, 1), 0.1, False, "promoted: 0.10000000000000002 > 0.10000000000000001"),
        (math.nan, 0.9, False, "not promoted: accuracy is nan, which cannot be compared"),
        (math.inf, 0.9, False, "not promoted: accuracy is inf, which cannot be compared"),
        (-math.inf, 0.9, True, "not promoted: accuracy is -inf, which cannot be compared"),
    ],
)
def test_each_comparison_is_explained_in_one_line(
    value: float, champion: float, lower_is_better: bool, reason: str
) -> None:
    decision = decide(challenger(value), Champion("3", champion), Rules(lower_is_better=lower_is_better))
    assert decision.reason == reason
    assert decision.promoted == reason.startswith("promoted")


def test_the_first_version_of_a_new_model_is_promoted() -> None:
    decision = decide(challenger(0.95, is_new_model=True), None, Rules(lower_is_better=False))
    assert decision.promoted
    assert decision.reason == "promoted: first version of 'x' (accuracy 0.95)"


def test_a_model_with_versions_but_no_champion_gets_its_first_champion() -> None:
    decision = decide(challenger(0.95), None, Rules(lower_is_better=False))
    assert decision.promoted
    assert decision.reason == "promoted: first champion of 'x' (accuracy 0.95)"


def test_nan_is_not_promoted_even_without_a_champion() -> None:
    assert not decide(challenger(math.nan, is_new_model=True), None, Rules(lower_is_better=False)).promoted


def test_a_champion_without_the_metric_stays_and_the_reason_says_what_to_do() -> None:
    champion = Champion("3", None, "its run r has no metric 'accuracy'")
    decision = decide(challenger(0.95), champion, Rules(lower_is_better=False))
    assert not decision.promoted
    assert "version 3 of 'x', and its run r has no metric 'accuracy'" in decision.reason
    assert "remove the alias" in decision.reason


def test_infinity_is_known_again_when_the_sql_store_returns_the_largest_float_for_it() -> None:
    assert not decide(challenger(sys.float_info.max), None, Rules(lower_is_better=False)).promoted
    assert (
        "nothing to compare"
        in decide(challenger(1.0), Champion("3", sys.float_info.max), Rules(lower_is_better=True)).reason
    )


@pytest.mark.parametrize(
    ("value", "champion", "rules", "reason"),
    [
        (0.95, 0.94, Rules(False, min_delta=0.005), "promoted: 0.95 > 0.94"),
        (
            0.95,
            0.94,
            Rules(False, min_delta=0.01),
            "not promoted: 0.95 > 0.94, but better by 0.01 only, and more than 0.01 is asked for (min_delta)",
        ),
        (
            0.2,
            0.3,
            Rules(True, min_delta=0.2),
            "not promoted: 0.2 < 0.3, but better by 0.1 only, and more than 0.2 is asked for (min_delta) "
            "(lower is better)",
        ),
        (0.1, 0.3, Rules(True, min_delta=0.1), "promoted: 0.1 < 0.3 (lower is better)"),
        (
            0.4,
            0.3,
            Rules(False, min_value=0.5),
            "not promoted: accuracy 0.4 is below 0.5, the least that is promoted (min_value)",
        ),
        (
            0.4,
            None,
            Rules(True, min_value=0.3),
            "not promoted: accuracy 0.4 is above 0.3, the most that is promoted (min_value)",
        ),
        (0.5, 0.3, Rules(False, min_value=0.5), "promoted: 0.5 > 0.3"),
        (None, 0.3, Rules(False), "not promoted: the run has no metric 'accuracy'. Log it before the model passes"),
    ],
)
def test_min_delta_and_min_value_are_explained(
    value: float | None, champion: float | None, rules: Rules, reason: str
) -> None:
    one = None if champion is None else Champion("3", champion)
    decision = decide(Challenger("x", "accuracy", value), one, rules)
    assert decision.reason.startswith(reason)
    assert decision.promoted == reason.startswith("promoted")


@pytest.mark.parametrize(
    ("ours", "theirs", "note"),
    [
        ("iris@abc1", "iris@abc1", "same evaluation data"),
        ("iris@abc1", "iris@9f2e", "different evaluation data: iris@abc1 / iris@9f2e, the comparison says little"),
        ("iris@abc1", None, "evaluated on iris@abc1, and the champion's evaluation data is not stated"),
        (None, "iris@9f2e", "the champion was evaluated on iris@9f2e, and this model's evaluation data is not stated"),
    ],
)
def test_the_reason_says_whether_the_evaluation_data_is_the_same(ours: str | None, theirs: str, note: str) -> None:
    champion = Champion("3", 0.94, dataset=theirs)
    worse, tie = (Challenger("x", "accuracy", value, dataset=ours) for value in (0.91, 0.94))
    higher, lower = Rules(False, different_data=NOTE), Rules(True, different_data=NOTE)
    assert decide(worse, champion, higher).reason == f"not promoted: 0.91 < 0.94 ({note})"
    assert decide(worse, champion, lower).reason == f"promoted: 0.91 < 0.94 (lower is better) ({note})"
    assert decide(tie, champion, higher).reason == f"not promoted: 0.94 = 0.94 (tie) ({note})"


def test_a_better_number_on_other_data_promotes_nothing_unless_that_is_wanted() -> None:
    champion = Champion("3", 0.94, dataset="iris@9f2e")
    better = Challenger("x", "accuracy", 0.99, dataset="iris@abc1")
    refused = decide(better, champion, Rules(False))
    assert not refused.promoted
    assert refused.reason.startswith("not promoted: different evaluation data: iris@abc1 / iris@9f2e")
    assert decide(better, champion, Rules(False, different_data=NOTE)).promoted
    assert decide(replace(better, dataset=None), champion, Rules(False)).promoted  # not known to differ
    assert decide(replace(better, dataset="iris@9f2e"), champion, Rules(False)).promoted


@pytest.mark.parametrize(
    ("recall", "latency", "reason"),
    [
        (0.88, 105.0, "promoted: 0.95 > 0.91"),
        (0.85, 100.0, "not promoted: 0.95 > 0.91, but recall fell by 0.05, 0.02 is allowed"),
        (0.95, 110.0, "not promoted: 0.95 > 0.91, but latency rose by 10, 5 is allowed"),
        (
            0.85,
            110.0,
            "not promoted: 0.95 > 0.91, but recall fell by 0.05, 0.02 is allowed; latency rose by 10, 5 is allowed",
        ),
        (
            math.nan,
            100.0,
            "not promoted: 0.95 > 0.91, but its run has no recall to compare, which is guarded; log it before the "
            "model passes the gate",
        ),
    ],
)
def test_a_guardrail_says_how_much_worse_the_model_became(recall: float, latency: float, reason: str) -> None:
    rules = Rules(False, guardrails=(Guardrail("recall", 0.02, False), Guardrail("latency", 5, True)))
    champion = Champion("3", 0.91, metrics={"recall": 0.9, "latency": 100.0})
    metrics = {"recall": recall, "latency": latency}
    assert decide(Challenger("x", "accuracy", 0.95, metrics=metrics), champion, rules).reason == reason
    first = decide(Challenger("x", "accuracy", 0.95, metrics=metrics), None, rules)
    assert first.promoted  # there is nothing to become worse than


def test_a_champion_without_a_guarded_metric_stays() -> None:
    rules = Rules(False, guardrails=(Guardrail("recall", 0.02, False),))
    challenger = Challenger("x", "accuracy", 0.95, metrics={"recall": 0.9})
    reason = decide(challenger, Champion("3", 0.91), rules).reason
    assert (
        reason == "not promoted: 0.95 > 0.91, but the champion, version 3, has no recall to compare, which is guarded"
    )


@pytest.mark.parametrize(
    "wrong",
    [{"min_delta": -0.1}, {"min_delta": math.nan}, {"min_delta": "0.1"}, {"min_value": math.inf}, {"min_delta": True}],
)
def test_a_rule_that_is_no_number_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        Rules(False, **wrong)


def test_a_guardrail_may_not_ask_for_a_gain() -> None:
    with pytest.raises(ValueError, match=r"allowed of 'recall' is -0\.1"):
        Guardrail("recall", -0.1, False)


def test_the_record_is_json_without_nan() -> None:
    record = DecisionRecord(False, "not promoted", "m", "lower_is_better", None, 0.9, "3", "x", None)
    assert json.loads(record.to_json())["challenger"] is None


def test_the_record_keeps_letters_of_all_languages_and_refuses_what_is_no_json() -> None:
    record = DecisionRecord(False, "größer", "m", HIGHER, 0.1, 0.9, "3", "x", None)
    assert "größer" in record.to_json()
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(record, challenger=math.nan).to_json()


@pytest.mark.parametrize("lower_is_better", [True, False])
def test_nothing_is_better_than_itself(lower_is_better: bool) -> None:
    assert not is_better(0.5, 0.5, lower_is_better=lower_is_better)


def test_a_guardrail_is_recorded_with_what_it_allows_and_both_values() -> None:
    rail = Guardrail("latency", 5.0, lower_is_better=True)
    ours = Challenger("x", "accuracy", 0.9, metrics={"latency": 104.0})
    theirs = Champion("3", 0.8, metrics={"latency": 100.0})
    assert check_guardrail(rail, ours, theirs) == GuardrailCheck(5.0, LOWER, 104.0, 100.0, True)
    assert check_guardrail(rail, ours, None) == GuardrailCheck(5.0, LOWER, 104.0, None, None)


def test_two_numbers_that_are_close_are_told_apart_in_every_reason() -> None:
    rules = Rules(lower_is_better=False, min_value=0.912346, guardrails=(Guardrail("recall", 0.1234567, False),))
    assert "0.912345 is below 0.912346" in decide(challenger(0.912345), None, rules).reason
    better = Challenger("x", "accuracy", 0.95, metrics={"recall": 0.3765432})
    reason = decide(better, Champion("3", 0.93, metrics={"recall": 0.5}), rules).reason
    assert "recall fell by 0.1234568, 0.1234567 is allowed" in reason


def test_a_fall_by_less_than_floats_can_tell_is_still_explained() -> None:
    rules = Rules(lower_is_better=False, guardrails=(Guardrail("recall", 0.1, False),))
    better = Challenger("x", "accuracy", 0.95, metrics={"recall": -1e-20})
    reason = decide(better, Champion("3", 0.93, metrics={"recall": 0.1}), rules).reason
    assert "recall fell by 0.10000000000000001, 0.10000000000000001 is allowed" in reason


def test_a_number_is_shown_with_four_digits_and_a_direction_as_the_request_names_it() -> None:
    assert show(0.123456) == "0.1235"
    assert (direction(True), direction(False)) == (LOWER, HIGHER)
