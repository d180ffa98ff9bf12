"""Reports of Evidently, and bodies that are no signal, sent to POST /triggers/<name>/signal."""

from typing import Any

import pytest

from tests.unit.api.hooks.senders import Desk, evidently_report, evidently_report_before_0_7
from tests.unit.api.hooks.test_signals import outcome, send

OLD_SUITE: dict[str, Any] = {
    "version": "0.4.40",
    "tests": [
        {"name": "Share of Drifted Columns", "status": "FAIL", "group": "data_drift"},
        {"name": "Number of Rows", "status": "SUCCESS", "group": "data_quality"},
    ],
    "summary": {"all_passed": False, "total_tests": 2, "failed_tests": 1},
}


@pytest.mark.parametrize(
    ("report", "when", "fires"),
    [
        (evidently_report(0.6), {}, True),
        (evidently_report(0.5), {}, True),
        (evidently_report(0.4), {}, False),
        (evidently_report(0.4, least=0.3), {}, True),
        (evidently_report(0.4, least=None), {}, False),
        (evidently_report(0.4), {"above": 0.3}, True),
        (evidently_report(0.4), {"metric": "share_of_drifted_columns", "above": 0.4}, False),
        (evidently_report(), {"metric": "number_of_drifted_columns", "above": 2}, True),
        (evidently_report(), {"metric": "ValueDrift(column=age)", "below": 0.05}, True),
        (evidently_report_before_0_7(0.6), {}, True),
        (evidently_report_before_0_7(0.4), {}, False),
        (evidently_report_before_0_7(0.4), {"above": 0.3}, True),
        (OLD_SUITE, {}, True),
        ({**OLD_SUITE, "tests": OLD_SUITE["tests"][1:]}, {}, False),
    ],
)
def test_a_report_of_evidently_fires_beyond_the_bound_or_by_its_own_verdict(
    desk: Desk, report: dict[str, Any], when: dict[str, Any], fires: bool
) -> None:
    desk.trigger("on-drift", "wort", signal=when)
    assert outcome(send(desk, report)) == ("waiting" if fires else "skipped")


@pytest.mark.parametrize(
    ("body", "when"),
    [
        ({}, {}),
        ({"alerts": {}}, {}),
        ({"metric": "a"}, {}),
        ({"metric": "", "value": 1}, {}),
        ({"metric": 5, "value": 1}, {}),
        ({"metric": "a", "value": True}, {}),
        ({"metric": "a", "value": "0.3"}, {}),
        ({"metric": "a", "value": None}, {}),
        (b'{"metric": "a", "value": 1e999}', {}),
        ({"metric": "a", "value": 10**400}, {}),
        ({"metrics": []}, {}),
        ({"metrics": [7, {"metric": "Other", "result": {"dataset_drift": "yes"}}]}, {}),
        (evidently_report(), {"metric": "accuracy", "below": 0.9}),
        (OLD_SUITE, {"above": 0.5}),
    ],
    ids=str,
)
def test_what_is_no_signal_is_refused(desk: Desk, body: Any, when: dict[str, Any]) -> None:
    desk.trigger("on-drift", "wort", signal=when)
    answer = send(desk, body)
    assert (answer.status_code, (answer.json or {})["code"]) == (422, "VALIDATION_FAILED")
    assert desk.events("on-drift") == []
