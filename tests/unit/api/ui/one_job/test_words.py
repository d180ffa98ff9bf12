"""What the page of one job says, as pure functions of the API's answer."""

from typing import Any

import pytest

from api.examples import JOB, NEW_JOB, SHA
from api.ui.durations import in_words
from api.ui.one_job.asked import LONGEST_SHOWN, asked
from api.ui.one_job.decision import HEADLINES, LONGEST, MOST_ROWS, told
from api.ui.one_job.elsewhere import image_page, places, run_of
from api.ui.one_job.failing import WHO_ACTS, explain
from api.ui.one_job.request_form import NUMBERS, REST, TEXTS
from api.ui.one_job.timeline import NAMES, NOW_NAMES, WIDTH, timeline
from api.ui.one_job.waiting import ADVICE, UNKNOWN, advice_for
from shared.failures.codes import Code, FailureType
from shared.jobs.model import TERMINAL, JobState
from shared.jobs.promotions import PromotionState
from shared.requests.retrain_request import RetrainRequest, with_defaults
from shared.scheduling.hosts import QueueCode

MLFLOW = "https://mlflow.example.com"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.34, "0.3 s"),
        (42.4, "42 s"),
        (59.9, "1 min"),
        (222, "3 min 42 s"),
        (3600, "1 h"),
        (7504, "2 h 5 min"),
        (349200, "4 d 1 h"),
        (31536000, "365 d"),
    ],
)
def test_how_long_something_took_is_said_in_two_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_every_reason_to_wait_has_advice() -> None:
    assert set(ADVICE) == set(QueueCode)
    assert all(each.text.endswith(".") and bool(each.field) == bool(each.change) for each in ADVICE.values())
    assert {each.field for each in ADVICE.values()} <= {"", REST, *TEXTS, *NUMBERS}
    assert advice_for({"code": "KEY_LIMIT"}) == ADVICE[QueueCode.KEY_LIMIT]
    assert (advice_for({"code": None}), advice_for({"code": "LATER_WORD"})) == (None, UNKNOWN)


def test_every_failure_is_explained_with_what_to_do_and_who_acts() -> None:
    assert set(WHO_ACTS) == set(FailureType)
    for code in Code:
        found = explain({"code": code.value, "type": "timeout"})
        assert (found.advice, found.who_acts) == (code.advice, WHO_ACTS[FailureType.TIMEOUT])
        assert found.meaning
    assert explain({"code": "LATER_WORD", "type": "later"}).advice == explain(None).meaning == ""


def test_every_state_that_a_job_passes_through_has_a_name_in_the_timeline() -> None:
    assert set(NAMES) == set(NOW_NAMES) == set(JobState) - TERMINAL


def test_a_timeline_has_each_phase_with_its_time_and_the_whole_bar() -> None:
    found = timeline(JOB["transitions"], "2030-01-01T00:00:00Z")
    assert [(each.state, each.took, each.attempt) for each in found.phases] == [
        ("queued", "1.2 s", 0),
        ("starting", "0.7 s", 1),
        ("running", "3 min 42 s", 1),
    ]
    assert found.end == JOB["transitions"][-1]
    assert found.took == "3 min 44 s"
    assert sum(each.width for each in found.phases) == pytest.approx(WIDTH, abs=1)
    assert found.in_words == "Waited for its turn: 1.2 s; Source, image and container: 0.7 s; Trained: 3 min 42 s"


def test_the_present_phase_goes_on_until_now_and_not_before_it_began() -> None:
    found = timeline(NEW_JOB["transitions"], "2026-01-31T12:01:00Z")
    assert [(each.name, each.took, each.ends) for each in found.phases] == [("Waits for its turn", "1 min", None)]
    assert timeline(NEW_JOB["transitions"], "2020-01-01T00:00:00Z").took == "0 s"
    assert timeline((), "2020-01-01T00:00:00Z").phases == ()


def test_a_state_of_a_later_version_is_shown_by_its_own_word() -> None:
    later = [*NEW_JOB["transitions"], {**NEW_JOB["transitions"][0], "to": "in_review", "at": "2026-01-31T12:00:10Z"}]
    assert timeline(later, "2026-01-31T12:00:12Z").phases[-1].name == "in review"


def test_what_was_asked_for_is_apart_from_what_is_a_default() -> None:
    request = with_defaults({"git_uri": "https://a.example/b.git", "experiment_name": "iris", "resources": {"gpus": 2}})
    found = asked(request)
    assert [(each.name, each.value) for each in found.given] == [
        ("experiment_name", "iris"),
        ("git_uri", "https://a.example/b.git"),
        ("resources.gpus", "2"),
    ]
    assert {"commit_hash", "resources.cpus", "parameters"} <= {each.name for each in found.defaults}


def test_the_json_of_a_request_can_be_sent_again() -> None:
    body = {**JOB["request"], "parameters": {"a": "x" * 2000, "b": 1}}
    found = asked(body)
    again = RetrainRequest.model_validate_json(found.json)
    assert with_defaults(again.as_record()) == body
    assert max(len(each.value) for each in found.given) == LONGEST_SHOWN + 1


def test_what_a_job_used_leads_to_where_it_is_shown() -> None:
    found = {each.what: (each.name, each.page) for each in places(JOB, MLFLOW)}
    assert found == {
        "Repository": ("https://github.com/user/iris.git", "https://github.com/user/iris"),
        "Commit": (SHA, f"https://github.com/user/iris/commit/{SHA}"),
        "Data": ("https://github.com/user/iris-data.git", f"https://github.com/user/iris-data/commit/{SHA[::-1]}"),
        "Base model": ("iris-classifier version 5", f"{MLFLOW}/#/models/iris-classifier/versions/5"),
        "Image": ("python:3.11-slim", "https://hub.docker.com/_/python"),
        "Registered": ("iris-classifier version 7", f"{MLFLOW}/#/models/iris-classifier/versions/7"),
    }


def test_before_it_starts_a_job_leads_to_what_its_request_names() -> None:
    found = {each.what: (each.name, each.page, each.more) for each in places(NEW_JOB, MLFLOW)}
    assert found["Commit"] == ("1f0c7a3", "https://github.com/user/iris/commit/1f0c7a3", "looked up when it starts")
    assert found["Data"] == (
        "https://github.com/user/iris-data.git",
        "https://github.com/user/iris-data",
        "at v2, path iris",
    )
    assert found["Base model"] == ("models:/iris-classifier@champion", None, "")


@pytest.mark.parametrize(
    ("asked_for", "page"),
    [
        ("a1b2c3d4e5f60718293a4b5c6d7e8f90", f"{MLFLOW}/#/runs/a1b2c3d4e5f60718293a4b5c6d7e8f90"),
        ("models:/iris/3", f"{MLFLOW}/#/models/iris/versions/3"),
        ("models:/a b?c/3", f"{MLFLOW}/#/models/a%20b%3Fc/versions/3"),
        ("yolov8n.pt", None),
    ],
)
def test_a_base_model_is_a_run_or_a_version_or_the_project_s_own(asked_for: str, page: str | None) -> None:
    job = {**NEW_JOB, "request": {**NEW_JOB["request"], "base_model": asked_for}}
    assert [each.page for each in places(job, MLFLOW) if each.what == "Base model"] == [page]
    assert not [each.page for each in places(job, None) if each.what == "Base model" and each.page]


def test_a_job_without_data_and_base_model_has_none() -> None:
    job = {**NEW_JOB, "request": {**NEW_JOB["request"], "base_model": "None", "dataset_repo": None}}
    assert [each.what for each in places(job, None)] == ["Repository", "Commit"]


def test_an_attempt_s_run_is_in_its_job_s_experiment() -> None:
    assert run_of(JOB, "r2", MLFLOW) == f"{MLFLOW}/#/experiments/3/runs/r2?workflowType=machine_learning"
    assert (run_of(JOB, None, MLFLOW), run_of(JOB, "r2", None), run_of(NEW_JOB, "r2", MLFLOW)) == (None, None, None)


@pytest.mark.parametrize(
    ("image", "page"),
    [
        ("pytorch/pytorch:2.4.0", "https://hub.docker.com/r/pytorch/pytorch"),
        ("docker.io/library/python@sha256:12", "https://hub.docker.com/_/python"),
        ("ghcr.io/team/trainer:1", "https://ghcr.io/team/trainer"),
        ("quay.io/team/trainer", "https://quay.io/repository/team/trainer"),
        ("registry.example.com:5000/team/trainer:1", None),
        ("localhost:5000/trainer", None),
        ("Not An <image>", None),
    ],
)
def test_an_image_is_shown_by_its_registry(image: str, page: str | None) -> None:
    assert image_page(image) == page


def decision(**facts: Any) -> dict[str, Any]:
    return {**JOB["promotion"], "model_name": "iris", "model_version": "7", **facts}


def test_a_decision_is_told_in_words_whatever_became_of_it() -> None:
    assert set(HEADLINES) == set(PromotionState)
    for state in PromotionState:
        found = told(decision(state=state.value))
        assert found is not None
        assert found.headline.startswith("Version 7")
        assert found.awaits_approval == (state is PromotionState.AWAITING_APPROVAL)
    assert told(None) is None


def test_a_decision_shows_both_models_as_logged_and_by_interval_and_slice() -> None:
    scores = {"n": 450, "challenger": 0.913, "champion": 0.901, "difference": 0.012, "low": -0.004, "high": 0.021}
    part = {**scores, "column": "country", "value": "DE", "low": None, "high": None}
    evidence = {**scores, "metric": "accuracy", "confidence": 0.95, "slices": [part]}
    rail = {"allowed": 5, "challenger": 31.25, "champion": None, "holds": False}
    found = told(decision(evidence=evidence, guardrails={"latency": rail}, slices={"country": 0.02}, min_delta=0.01))
    assert found is not None
    assert [(row.what, row.difference, row.interval, row.examples, row.verdict) for row in found.rows] == [
        ("accuracy, as logged (higher is better)", "", "", "", ""),
        ("accuracy, on the same data", "+0.012", "-0.004 to +0.021 (95 %)", "450", ""),
        ("country = DE", "+0.012", "", "450", ""),
        ("latency, guarded", "", "", "", "broken (5 worse is allowed)"),
    ]
    assert ("min_delta", "0.01") in found.rules
    assert ("slices.country", "0.02 worse is allowed") in found.rules


@pytest.mark.parametrize(
    "odd",
    [
        {"promoted": True},
        {"state": "later", "evidence": 3, "guardrails": {"a": None}},
        {"state": {"a": 1}, "slices": [1], "datasets": "x", "guardrails": "x", "metric": ["a"], "challenger": "x"},
        {"evidence": {"slices": [None, 3], "low": "x", "high": True, "confidence": "x", "n": []}, "min_delta": "x"},
    ],
)
def test_a_decision_of_another_version_is_told_as_far_as_it_is_known(odd: dict[str, Any]) -> None:
    found = told(odd)
    assert found is not None
    assert found.headline


def test_a_decision_of_any_length_is_cut() -> None:
    rails = {f"metric {number}" * 500: {"allowed": 1} for number in range(5000)}
    found = told(decision(reason="x" * 10**6, guardrails=rails))
    assert found is not None
    assert len(found.rows) == MOST_ROWS
    assert max(map(len, (found.reason, *(row.what for row in found.rows)))) == LONGEST + 1
