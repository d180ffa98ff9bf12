"""The gate's decisions by scores of both models on the same data."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mypackage.gate.decision import Challenger, Champion, DecisionRecord, decide
from mypackage.gate.evidence import Evidence, Slice, Unscorable, worst
from mypackage.gate.rules import LOGGED, Guardrail, Rules
from shared.requests.parts import Promotion

GAIN = "better by 0.012 [0.004, 0.021] on 450 examples"
OURS = Challenger("x", "accuracy", 0.91, metrics={"recall": 0.8})
THEIRS = Champion("3", 0.94, metrics={"recall": 0.9})
BETTER = Evidence("accuracy", 450, 0.951, 0.939, 0.012, 0.004, 0.021, 0.95)
WORSE = replace(BETTER, challenger=0.939, champion=0.951, difference=-0.012, low=-0.021, high=-0.004)
UNSURE = replace(BETTER, low=-0.002)
FEW_DIFFER = replace(BETTER, low=None, high=None)
ONE_VALUE = replace(BETTER, n=None, low=None, high=None)
OLD = Slice("age", "old", 40, 0.8, 0.85, -0.05, -0.11, 0.01)
SURE = Rules(False, min_confidence=0.95)


@pytest.mark.parametrize(
    ("evidence", "rules", "reason"),
    [
        (
            BETTER,
            Rules(False),
            "promoted: better by 0.012 [0.004, 0.021] on 450 examples (accuracy, the same data now)",
        ),
        (
            WORSE,
            Rules(False),
            "not promoted: worse by 0.012 [0.004, 0.021] on 450 examples (accuracy, the same data now)",
        ),
        (
            replace(BETTER, difference=0.0, low=-0.01, high=0.01),
            Rules(False),
            "not promoted: no difference [-0.01, 0.01] on 450 examples (accuracy, the same data now)",
        ),
        (
            replace(BETTER, metric="loss", challenger=0.1, champion=0.112),
            Rules(True),
            "promoted: better by 0.012 [0.004, 0.021] on 450 examples (loss, lower is better, the same data now)",
        ),
        (
            BETTER,
            Rules(False, min_delta=0.012),
            f"not promoted: {GAIN}, but more than 0.012 is asked for (min_delta)",
        ),
        (
            BETTER,
            Rules(False, min_value=0.96),
            "not promoted: accuracy 0.951 is below 0.96, the least that is promoted (min_value)",
        ),
        (BETTER, SURE, "promoted: better by 0.012 [0.004, 0.021]"),
        (
            UNSURE,
            SURE,
            "not promoted: better by 0.012 [-0.002, 0.021] on 450 examples, but with a confidence of 0.95 by -0.002 "
            "only, and more than 0 is asked for (min_confidence)",
        ),
        (
            BETTER,
            Rules(False, min_delta=0.004, min_confidence=0.95),
            "not promoted: better by 0.012 [0.004, 0.021] on 450 examples, but with a confidence of 0.95 by 0.004 "
            "only, and more than 0.004 is asked for (min_confidence)",
        ),
        (
            BETTER,
            Rules(False, min_confidence=0.99),
            "not promoted: better by 0.012 [0.004, 0.021] on 450 examples, but a confidence of 0.99 is asked for, and "
            "its interval is of 0.95 (min_confidence)",
        ),
        (
            ONE_VALUE,
            Rules(False),
            "promoted: better by 0.012 (accuracy, the same data now, one value of each model, so without an interval)",
        ),
        (
            FEW_DIFFER,
            Rules(False),
            "promoted: better by 0.012 on 450 examples (accuracy, the same data now, too few examples differ for an "
            "interval)",
        ),
        (
            FEW_DIFFER,
            SURE,
            "not promoted: better by 0.012 on 450 examples, but a confidence of 0.95 needs more examples on which the "
            "models differ (min_confidence)",
        ),
        (ONE_VALUE, SURE, "not promoted: better by 0.012, but a confidence of 0.95 needs a score of each example"),
        (
            BETTER,
            Rules(False, guardrails=(Guardrail("recall", 0.02, False),)),
            "not promoted: better by 0.012 [0.004, 0.021] on 450 examples, but recall fell by 0.1, 0.02 is allowed",
        ),
    ],
)
def test_scores_on_the_same_data_decide_and_not_what_was_logged(evidence: Evidence, rules: Rules, reason: str) -> None:
    decision = decide(OURS, THEIRS, rules, evidence)
    assert decision.reason.startswith(reason)
    assert decision.promoted == reason.startswith("promoted")


def test_a_champion_without_a_logged_value_can_be_beaten_by_scores() -> None:
    assert decide(replace(OURS, value=None), Champion("3", None, "its run is deleted"), Rules(False), BETTER).promoted


@pytest.mark.parametrize(
    ("allowed", "reason"),
    [
        ({"age": 0.05}, "promoted: better"),
        (
            {"age": 0.04},
            f"not promoted: {GAIN}, but worse by 0.05 [-0.01, 0.11] where age is "
            "old (40 examples), 0.04 is allowed (slices)",
        ),
        (
            {"sex": 0.5},
            "not promoted: better by 0.012 [0.004, 0.021] on 450 examples, but its scores have no column sex",
        ),
    ],
)
def test_a_slice_may_become_worse_by_what_is_allowed(allowed: dict[str, float], reason: str) -> None:
    evidence = replace(BETTER, slices=(OLD, replace(OLD, value="young", difference=0.1)))
    assert decide(OURS, THEIRS, Rules(False, slices=allowed), evidence).reason.startswith(reason)


def test_the_worst_slices_are_kept_and_one_of_each_column() -> None:
    ages = [replace(OLD, value=f"{n:02}", difference=float(n)) for n in range(20)]
    places = [replace(OLD, column="place", difference=100.0)]
    kept = [(each.column, each.value) for each in worst([*reversed(ages), *places])]
    assert kept == [("age", "00"), ("place", "old"), *(("age", f"{n:02}") for n in range(1, 9))]


GONE = Unscorable("champion", "its artifacts are gone")


def test_a_champion_that_cannot_be_scored_refuses_unless_the_logged_values_are_asked_for() -> None:
    better = replace(OURS, value=0.95)
    refused = decide(better, THEIRS, Rules(False), GONE)
    assert refused.reason.startswith(
        "not promoted: the champion, version 3, could not be scored on the same data: its artifacts are gone "
        "(on_unscorable). Mend that and train again, or send promotion.on_unscorable 'logged'"
    )
    taken = decide(better, THEIRS, Rules(False, on_unscorable=LOGGED), GONE)
    assert taken.promoted
    assert taken.reason == (
        "promoted: 0.95 > 0.94 (the logged values, as the champion, version 3, could not be scored on the same data: "
        "its artifacts are gone)"
    )
    assert not decide(OURS, THEIRS, Rules(False, on_unscorable=LOGGED), GONE).promoted


def test_a_first_champion_needs_no_scores() -> None:
    assert decide(OURS, None, SURE, GONE).promoted
    assert decide(OURS, None, SURE).promoted


@pytest.mark.parametrize(("rule", "value"), [("min_confidence", 0.95), ("slices", {"age": 0.1})])
def test_a_rule_about_scores_refuses_where_the_project_has_none(rule: str, value: Any) -> None:
    rules = Rules(False, **{rule: value})
    reason = decide(replace(OURS, value=0.95), THEIRS, rules).reason
    assert reason.startswith(f"not promoted: the models could not be scored on the same data: {rule} need")


def test_scores_on_the_same_data_make_up_for_logged_values_of_different_data() -> None:
    ours, theirs = replace(OURS, value=0.95, dataset="iris@1"), replace(THEIRS, dataset="iris@2")
    assert not decide(ours, theirs, Rules(False)).promoted
    assert decide(ours, theirs, Rules(False), BETTER).promoted


def test_a_comparison_that_is_not_made_of_numbers_is_an_error() -> None:
    wrong: list[dict[str, Any]] = [{"low": float("nan")}, {"difference": float("inf")}]
    for changes in wrong:
        with pytest.raises(ValueError, match="not all numbers"):
            replace(BETTER, **changes)


def test_the_record_has_the_evidence() -> None:
    evidence = replace(BETTER, slices=(OLD,))
    record = DecisionRecord(True, "", "m", "higher_is_better", 0.1, 0.2, "3", "x", "4", evidence=evidence)
    kept = json.loads(record.to_json())["evidence"]
    assert (kept["low"], kept["n"], kept["slices"][0]["value"]) == (0.004, 450, "old")


def test_a_training_never_gets_the_rules_that_older_copies_of_mypackage_refuse() -> None:
    ours = {"min_confidence": 0.9, "slices": {"age": 0.1}, "on_unscorable": "logged", "different_data": "note"}
    assert Promotion(**ours).as_variable == ""
    asked = Promotion(min_delta=0.1, **ours)
    assert asked.as_variable == '{"min_delta": 0.1}'
    assert asked.as_rules == {"min_delta": 0.1, **ours}
