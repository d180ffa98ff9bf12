"""Evidently's reports and test suites as JSON, which its users send: of version 0.7 and later, and of those before.

https://docs.evidentlyai.com/metrics/preset_data_drift
"""

from collections.abc import Iterator
from typing import Any

from api.hooks.sent import objects_at, text_at, value_at
from api.hooks.signals.signal import Quiet, Signal, compared, not_a_signal, number
from shared.triggers.fields import Signalled

SHARE, NUMBER = "share_of_drifted_columns", "number_of_drifted_columns"
DRIFTED_COLUMNS = "DriftedColumnsCount"
DRIFT_SHARE = 0.5  # Evidently's own default
LONGEST_NAME = 250


def read(payload: dict[str, Any], when: Signalled, key: str) -> Signal | Quiet:
    """Return whether the data drifted: by the trigger's bound or, if it has none, by Evidently's own verdict."""
    numbers = dict(_numbers(payload))
    facts = {name: numbers[name] for name in (SHARE, NUMBER) if name in numbers}
    if when.below is None and when.above is None:
        return _by_its_own_verdict(payload, Signal(key, facts))
    metric = when.metric or SHARE
    if metric not in numbers:
        raise not_a_signal(f"The report has no {metric}, which this trigger compares. Add it to the report.")
    not_beyond = compared(when, metric, numbers[metric])
    return Quiet(not_beyond) if not_beyond else Signal(key, {**facts, metric: numbers[metric]})


def _numbers(payload: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for metric in objects_at(payload, "metrics"):
        name = _name(metric)
        given = {
            SHARE: value_at(metric, "result", SHARE),
            NUMBER: value_at(metric, "result", NUMBER),
            name: value_at(metric, "value"),
        }
        if _counts_columns(metric):
            given |= {SHARE: value_at(metric, "value", "share"), NUMBER: value_at(metric, "value", "count")}
        yield from ((each, found) for each, value in given.items() if (found := number(value)) is not None)


def _counts_columns(metric: dict[str, Any]) -> bool:
    return text_at(metric, "config", "type").endswith(DRIFTED_COLUMNS) or _name(metric).startswith(DRIFTED_COLUMNS)


def _name(metric: dict[str, Any]) -> str:
    names = (text_at(metric, each, longest=LONGEST_NAME) for each in ("metric_name", "metric_id"))
    return next(filter(None, names), "")


def _by_its_own_verdict(payload: dict[str, Any], drifted: Signal) -> Signal | Quiet:
    verdicts = list(_verdicts(payload))
    if any(verdicts):
        return drifted
    if failed := [text_at(each, "name") for each in objects_at(payload, "tests") if _has_failed(each)]:
        return Signal(drifted.key, {**drifted.facts, "failed_tests": len(failed), "first": failed[0]})
    if not verdicts and not objects_at(payload, "tests"):
        raise not_a_signal(
            "The report says nothing about the drift of the dataset and has no tests: add DataDriftPreset, or give the "
            "trigger a metric with a bound."
        )
    return Quiet("no drift, and no test that failed")


def _verdicts(payload: dict[str, Any]) -> Iterator[bool]:
    for metric in objects_at(payload, "metrics"):
        said, share = value_at(metric, "result", "dataset_drift"), number(value_at(metric, "value", "share"))
        if isinstance(said, bool):
            yield said
        if _counts_columns(metric) and share is not None:
            least = number(value_at(metric, "config", "drift_share"))
            yield share >= (DRIFT_SHARE if least is None else least)


def _has_failed(test: dict[str, Any]) -> bool:
    return text_at(test, "status").upper().removeprefix("TESTSTATUS.") == "FAIL"
