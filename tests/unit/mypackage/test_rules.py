"""What train.py asks of the gate, and what the request lays over it."""

import json
from typing import Any

import pytest

from mypackage.gate.rules import FIELDS, Guardrail, Rules, merged, read_promotion, rules_of
from mypackage.gate.rules import SERVICE_FIELDS as RULES_OF_SERVICE
from shared.requests.parts import SERVICE_FIELDS, Promotion


def rules(from_code: dict[str, Any], from_request: dict[str, Any], *, lower_is_better: bool = False) -> Rules:
    wishes = merged({"metric": "accuracy", **from_code}, read_promotion(json.dumps(from_request)))
    return rules_of(wishes, lower_is_better=lower_is_better)


def test_the_request_goes_before_train_py_and_leaves_what_it_does_not_name() -> None:
    from_code = {"min_delta": 0.1, "min_value": 0.5, "guardrails": {"recall": 0.1, "precision": 0.2}}
    from_request = {"min_delta": 0.0, "guardrails": {"recall": 0.02}}
    assert rules(from_code, from_request) == Rules(
        False, 0.0, 0.5, (Guardrail("recall", 0.02, False), Guardrail("precision", 0.2, False))
    )


def test_guardrails_of_the_request_alone_are_enough() -> None:
    assert rules({}, {"guardrails": {"recall": 0.02}}).guardrails == (Guardrail("recall", 0.02, False),)


def test_ten_guardrails_are_taken() -> None:
    assert len(rules({"guardrails": {f"m{n}": 1 for n in range(10)}}, {}).guardrails) == 10


def test_the_requests_direction_goes_before_lower() -> None:
    assert rules({}, {"direction": "lower_is_better"}).lower_is_better
    assert not rules({}, {"direction": "higher_is_better"}, lower_is_better=True).lower_is_better


def test_a_guardrail_has_the_direction_of_the_metric_unless_it_has_its_own() -> None:
    asked = {"guardrails": {"mae": 1.0, "recall": 0.02}, "guardrail_directions": {"recall": "higher_is_better"}}
    assert rules(asked, {}, lower_is_better=True).guardrails == (
        Guardrail("mae", 1.0, True),
        Guardrail("recall", 0.02, False),
    )


def test_nothing_asked_for_leaves_the_defaults() -> None:
    assert rules({"min_delta": None, "guardrails": None}, {}) == Rules(False)
    assert read_promotion("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[]", "must be a JSON object"), ('{"min_dleta": 1}', "min_dleta.*does not know")],
)
def test_a_variable_that_is_not_understood_is_an_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_promotion(text)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"direction": "up"}, "A direction is 'up'"),
        ({"guardrail_directions": {"recall": "lower_is_better"}}, "recall, which guardrails does not"),
        ({"min_delta": -0.1}, "^min_delta is -0.1"),
        ({"min_value": "high"}, "^min_value is 'high'"),
        ({"guardrails": {f"m{n}": 1 for n in range(11)}}, "10 are the most"),
        ({"min_confidence": 95}, "min_confidence is 95"),
        ({"min_confidence": 0.4}, "from 0.5 to less than 1"),
        ({"slices": {"age": -0.1}}, "allowed of 'age' is -0.1"),
        ({"on_unscorable": "note"}, "must be 'refuse' or 'logged'"),
        ({"different_data": "logged"}, "must be 'refuse' or 'note'"),
    ],
)
def test_rules_that_make_no_sense_are_an_error(wishes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rules_of(wishes, lower_is_better=False)


def test_the_gate_understands_every_field_that_a_request_may_have() -> None:
    asked = Promotion(
        metric="f1",
        direction="lower_is_better",
        min_delta=0.1,
        min_value=0.5,
        guardrails={"recall": 0.02},
        guardrail_directions={"recall": "higher_is_better"},
    )
    assert set(Promotion.model_fields) - SERVICE_FIELDS == set(FIELDS)
    assert set(RULES_OF_SERVICE) < SERVICE_FIELDS
    of_service = {"mode": "approve", "approve_below": 0.1, "approval_days": 1}
    wishes = read_promotion(asked.model_copy(update=of_service).as_variable)
    assert wishes["metric"] == "f1"
    assert rules_of(wishes, lower_is_better=False) == Rules(True, 0.1, 0.5, (Guardrail("recall", 0.02, False),))


def test_rules_about_scores_come_from_the_request_and_refuse_by_default() -> None:
    asked = {"min_confidence": 0.9, "slices": {"age": 0.1}, "on_unscorable": "logged", "different_data": "note"}
    assert rules_of(asked, lower_is_better=False) == Rules(
        False, min_confidence=0.9, slices={"age": 0.1}, on_unscorable="logged", different_data="note"
    )
    assert (Rules(False).on_unscorable, Rules(False).different_data) == ("refuse", "refuse")
