"""The probation of a request: what it may ask for, and that a training gets nothing of it."""

from typing import Any

import pytest

from tests.support.retrain_requests import parse, refused

ODD: list[Any] = [
    {},
    {"hours": 1},
    {"max_worsening": 0.1},
    {"hours": 0, "max_worsening": 0.1},
    {"hours": 721, "max_worsening": 0.1},
    {"hours": "1", "max_worsening": 0.1},
    {"hours": 1, "max_worsening": -0.1},
    {"hours": 1, "max_worsening": float("nan")},
    {"hours": 1, "max_worsening": float("inf")},
    {"hours": 1, "max_worsening": 0.1, "metric": ""},
    {"hours": 1, "max_worsening": 0.1, "direction": "up"},
    {"hours": 1, "max_worsening": 0.1, "alias": "staging"},
    [],
    "1 h",
]


@pytest.mark.parametrize("probation", ODD, ids=str)
def test_a_probation_that_makes_no_sense_is_refused(probation: Any) -> None:
    refused(promotion={"probation": probation})


def test_a_probation_stays_in_the_service() -> None:
    sent = parse(promotion={"min_delta": 0.1, "probation": {"hours": 48, "max_worsening": 0}})
    assert sent.promotion.as_variable == '{"min_delta": 0.1}'
    assert parse(promotion={"probation": None}).as_record() == parse().as_record()
