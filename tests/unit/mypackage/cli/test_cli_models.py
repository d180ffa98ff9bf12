"""The subcommands about models."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.jobs.model import JobState
from shared.jobs.promotions import PromotionState
from shared.jobs.records import Ending
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand
from tests.support.servers.odd_mlflow import odd_mlflow
from tests.support.servers.served_app import served
from tests.unit.api.models.test_observations import begin
from tests.unit.api.models.test_replay import recorded
from tests.unit.conftest import BODY, ClaimJob, MakeApp
from tests.unit.mypackage.promotions import AWAITING, promotion


@pytest.fixture
def run(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetrainCommand]:
    monkeypatch.chdir(tmp_path)
    with served(make_app, monkeypatch) as start, odd_mlflow() as mlflow:
        yield RetrainCommand(start(mlflow_tracking_uri=mlflow.served.url).url)


def test_rollback_says_what_is_champion_now_and_what_was(run: RetrainCommand) -> None:
    rollback = ("rollback", "iris", "1", "--reason", "blind to roses")
    assert run(*rollback).stdout == "Version 1 of iris is champion, and version 2 the one before.\n"
    assert run(*rollback).stdout == "Version 1 of iris is champion already, and version 2 the one before.\n"
    assert json.loads(run(*rollback, "--json").stdout)["changed"] is False
    run("rollback", "a:b", "1", "--reason", "x", code=2)
    run("rollback", "iris", "1", code=2)


def test_a_version_is_shown_with_what_made_it(run: RetrainCommand) -> None:
    lines = run("models", "show", "iris", "2").stdout.splitlines()
    assert lines[:3] == ["version\t2", "aliases\tchampion", "job\tjob-of-2"]
    assert "metric accuracy\t0.8" in lines
    assert json.loads(run("models", "show", "iris", "2", "--json").stdout)["model"] == "iris"
    run("models", "show", "a:b", "2", code=2)


def test_models_their_history_and_a_persons_word(run: RetrainCommand, store: MemoryStore) -> None:
    assert run("models").stdout == "iris\t2\t\t\n"
    made = promotion(store, AWAITING)
    assert run("reject", made, "--reason", "blind").stdout == (
        "Version 3 of iris-classifier is rejected: promoted: 0.9 > 0.8\n"
    )
    assert "PROMOTION_SETTLED" in run("approve", made, code=2).stderr
    promotion(store, PromotionState.PROMOTED)
    lines = [line.split("\t")[1:] for line in run("history", "iris-classifier").stdout.splitlines()]
    assert lines[0] == ["moved", "3", "job j", "promoted: 0.9 > 0.8"]
    assert [line[0] for line in lines] == ["moved", "decided", "rejected", "approval_wanted", "decided"]
    assert json.loads(run("history", "iris-classifier", "--json", "--limit", "1").stdout)[0]["number"] == 5
    assert run("champion", "iris-classifier").stdout.startswith("Version 3 since ")
    assert run("history", "roses").stdout == ""


def test_a_report_says_what_it_means_and_a_bad_one_who_is_champion_again(
    run: RetrainCommand, store: MemoryStore
) -> None:
    report = ("observe", "iris", "--metric", "accuracy")
    assert run(*report, "--value", "0.9").stdout == (
        "Version 2 of iris: not judged: the champion is not on probation.\n"
    )
    begin(store, "2", "1")
    shown = run("models").stdout.split("\t")[3]
    assert shown.startswith("accuracy >= 0.85 until ")
    assert shown.endswith("Z (0 observed)\n")
    assert json.loads(run(*report, "--value", "0.9", "--version", "2", "--json").stdout)["verdict"] == "holds"
    assert run(*report, "--value", "0.7", "--n", "450").stdout == (
        "Version 2 of iris: broken: accuracy 0.7 is worse than 0.9 by 0.2, and 0.05 is allowed. Version 1 is champion "
        "again.\n"
    )
    assert "NOT_CHAMPION" in run(*report, "--value", "0.7", "--version", "2", code=2).stderr
    run(*report, "--value", "much", code=2)
    assert run(*report, "--value", "nan", code=2).stderr


def test_a_replay_prints_what_would_differ_and_counts_the_rest(
    run: RetrainCommand, store: MemoryStore, tmp_path: Path
) -> None:
    recorded(store)
    recorded(store, facts={})
    rules = tmp_path / "rules.yaml"
    rules.write_text("min_delta: 0.05\nmode: approve\n")
    told = run("gate", "replay", "--model", "iris", "--rules", str(rules))
    lines = [line.split("\t")[1:] for line in told.stdout.splitlines()]
    reason = "not promoted: 0.9 > 0.88, but better by 0.02 only, and more than 0.05 is asked for (min_delta)"
    assert sorted(lines) == [
        ["2", "", "unknown", "its numbers and rules are not recorded", "promoted: 0.9 > 0.88"],
        ["2", "1", "would refuse", reason, "promoted: 0.9 > 0.88"],
    ]
    assert told.stderr == (
        "Of 2 decisions, 0 would be promoted, 1 refused, 0 are the same; of 1 the record does not say enough. Not part "
        "of a decision, and left out: mode.\n"
    )
    replay = ("gate", "replay", "--model", "iris", "--rules", str(rules))
    assert json.loads(run(*replay, "--json").stdout)["would_refuse"] == 1
    assert "Of 2 decisions" in run(*replay, "--since", "2026-01-01T00:00:00Z").stderr
    assert "Of 2 decisions" in run(*replay, "--since", "1h").stderr
    assert "Of 0 decisions" in run(*replay, "--since", "0d").stderr
    assert "RFC 3339" in run(*replay, "--since", "yesterday", code=2).stderr
    run(*replay, "--since", "999999w", code=2)
    rules.write_text("[]")
    assert "rules, such as min_delta" in run(*replay, code=2).stderr
    rules.write_text("min_gain: 1")
    assert "min_gain" in run(*replay, code=2).stderr


def test_a_job_whose_model_waits_says_how_to_approve_it(
    run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob
) -> None:
    job_id, waits = run.new_job(**BODY), promotion(store, AWAITING)
    decision = {"promoted": False, "reason": "waits for approval: 0.9 > 0.8", "state": "awaiting_approval", "id": waits}
    result = {"metrics": {}, "model_versions": [], "decision": decision}
    store.finish(claim_job(job_id), Ending(JobState.SUCCEEDED, exit_code=0, result=result))
    assert f"to approve: retrain approve {waits} " in run("status", job_id).stdout
    assert "promotion.id of the job" in run("approve", job_id, code=2).stderr


def test_a_model_is_assigned_to_a_team_or_to_none(run: RetrainCommand, store: MemoryStore) -> None:
    assert run("models", "assign", "iris", "--team", "vision").stdout == "Model iris belongs to team vision.\n"
    assert store.team_of_model("iris") == "vision"
    assert run("models", "assign", "iris", "--no-team").stdout == "Model iris belongs to no team.\n"
    assert json.loads(run("models", "assign", "iris", "--team", "a", "--json").stdout)["team"] == "a"
    for wrong in ((), ("--team", "a", "--no-team")):
        assert "either --team NAME or --no-team" in run("models", "assign", "iris", *wrong, code=2).stderr
