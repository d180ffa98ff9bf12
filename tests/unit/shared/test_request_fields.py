"""What a worker of another version reads of a recorded request, and what it leaves to a worker that knows more."""

import json
from typing import Any

import pytest

from shared.requests.fields import KNOWN_TO_EARLIER_WORKERS, fields_of, is_for_newer_workers, unknown_among
from shared.requests.retrain_request import KNOWN_FIELDS, RetrainRequest, with_defaults
from tests.support.retrain_requests import parse

# As version 1f42d56 recorded a job: with all of its defaults. Its workers took no field beyond these.
RECORD_OF_1F42D56: dict[str, Any] = json.loads("""
{"MLproject_location": "", "alerts": {"events": ["failed"], "to": ["team-a"]}, "base_model": "None",
 "commit_hash": "main", "concurrency_key": null, "dataset_repo": "not_used", "entry_point": "main",
 "experiment_name": "iris", "git_uri": "https://git.example/iris.git", "labels": {}, "model_name": null,
 "parameters": {"epochs": 3}, "priority": 4,
 "promotion": {"direction": null, "guardrail_directions": {}, "guardrails": {}, "metric": null, "min_delta": null,
               "min_value": null},
 "queue": "default",
 "resources": {"cpus": null, "gpus": 1, "host": null, "host_labels": [], "memory": "8g"},
 "retry": {"initial_delay_seconds": null, "max_attempts": null, "max_delay_seconds": null, "on": null},
 "timeouts": {"git_seconds": null, "pull_seconds": null, "queue_seconds": null, "run_seconds": 60.0}}
""")
KNOWN_TO_1F42D56 = frozenset(fields_of({**RECORD_OF_1F42D56, "parameters": {}, "labels": {}}))


def test_a_record_of_an_earlier_version_is_read_with_all_its_defaults() -> None:
    assert unknown_among(fields_of(RECORD_OF_1F42D56), KNOWN_FIELDS) == []
    read = RetrainRequest.from_record(RECORD_OF_1F42D56)
    assert (read.parameters, read.resources.gpus, read.timeouts.run_seconds) == ({"epochs": 3}, 1, 60.0)
    assert (read.alerts.to, read.entry_point) == (frozenset({"team-a"}), "main")
    assert RetrainRequest.model_validate(RECORD_OF_1F42D56).as_record() == {
        "alerts": {"events": ["failed"], "to": ["team-a"]},
        "base_model": "None",
        "dataset_repo": "not_used",
        "experiment_name": "iris",
        "git_uri": "https://git.example/iris.git",
        "parameters": {"epochs": 3},
        "resources": {"gpus": 1, "memory": "8g"},
        "timeouts": {"run_seconds": 60.0},
    }


def test_a_group_that_may_be_null_is_read_as_a_group() -> None:
    sent = parse(promotion={"probation": {"hours": 1, "max_worsening": 0.05}})
    assert RetrainRequest.from_record(sent.as_record()) == sent
    later = {**sent.as_record(), "promotion": {"probation": {"hours": 1, "max_worsening": 0.05, "y": 2}}}
    assert RetrainRequest.from_record(later) == sent


def test_an_earlier_version_knows_every_field_of_a_plain_record() -> None:
    record = parse(parameters={"epochs": 3}, resources={"gpus": 1}).as_record()
    assert unknown_among(fields_of(record), KNOWN_TO_1F42D56) == []
    assert set(record) == {"experiment_name", "git_uri", "parameters", "resources"}
    assert record["resources"] == {"gpus": 1}


def test_workers_that_do_not_say_what_they_know_are_taken_for_those_of_that_version() -> None:
    assert KNOWN_TO_EARLIER_WORKERS == KNOWN_TO_1F42D56
    assert not is_for_newer_workers(RECORD_OF_1F42D56)
    assert is_for_newer_workers(RECORD_OF_1F42D56 | {"colour": "red"})


def test_what_was_sent_as_the_default_is_recorded_no_more_than_what_was_not_sent() -> None:
    sent = parse(base_model="", dataset_repo=None, priority=4, resources={"host": None, "gpus": 0})
    assert sent.as_record() == parse().as_record()


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ({"colour": "red"}, ["colour"]),
        ({"colour": {"hue": 1}}, ["colour"]),
        ({"resources": {"gpus": 1, "host_x": "a"}}, ["resources.host_x"]),
        ({"promotion": {"y": {"z": 1}}}, ["promotion.y"]),
        ({"promotion": {"guardrails": {"recall": 0.1}}}, []),
        ({"promotion": {"probation": {"hours": 1, "metric": None, "y": 2}}}, ["promotion.probation.y"]),
        ({"parameters": {"resources.x": 1, "a.b.c": 2}}, []),
        ({"labels": {"team": "a"}}, []),
    ],
)
def test_a_field_of_a_later_version_is_named_and_the_callers_own_names_are_not(
    added: dict[str, Any], named: list[str]
) -> None:
    assert unknown_among(fields_of({**parse().as_record(), **added}), KNOWN_FIELDS) == named


def test_a_record_is_shown_with_defaults_and_with_what_is_not_known_as_it_is() -> None:
    shown = with_defaults({**parse().as_record(), "colour": "red", "resources": {"gpus": 1, "host_x": "a"}})
    assert (shown["colour"], shown["commit_hash"], shown["base_model"]) == ("red", "main", None)
    assert shown["resources"] == {
        "gpus": 1,
        "host_x": "a",
        "cpus": None,
        "memory": None,
        "host": None,
        "host_labels": [],
    }
