"""What `retrain status` and its like print about one job."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mypackage.cli.main import main
from shared.errors import Code, FailureType
from shared.jobs.model import JobState, Reason
from shared.jobs.records import Ending, JobFilter, Resolution
from tests.fakes.store import MemoryStore
from tests.support.retrain_command import RetrainCommand, at_a_terminal
from tests.support.servers.served_app import served
from tests.support.waiting import wait_until
from tests.unit.conftest import BODY, ClaimJob, MakeApp

MLFLOW = "https://mlflow.machine-learning.engineering.example.com/tracking"
TRAINING = "workflowType=machine_learning"
SEE = "https://wiki.example.com/a-page/about-something/that-is-rather-long/and/has-hyphens"


@pytest.fixture
def run(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RetrainCommand]:
    monkeypatch.chdir(tmp_path)
    with served(make_app, monkeypatch) as start:
        yield RetrainCommand(start(mlflow_public_url=MLFLOW).url)


def test_an_address_is_one_word_at_a_terminal_of_any_width_and_prose_is_folded_between_words(
    run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob
) -> None:
    job_id = run.new_job(**BODY)
    claim = claim_job(job_id)
    store.resolve(claim, Resolution(run_id="a" * 32, experiment_id="3"))
    reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, f"exit code 1, and then a few words more: see {SEE} .")
    store.finish(claim, Ending(JobState.FAILED, reason=reason))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", at_a_terminal("--url", run.url, "status", job_id, COLUMNS="60"))
    page = f"{MLFLOW}/#/experiments/3/runs/{'a' * 32}?workflowType=machine_learning"
    assert {page, SEE, job_id} <= set(shown.split())
    assert re.search(r"\r\n {12}\S", shown)


def test_a_job_without_a_log_is_told_with_what_it_waits_for(run: RetrainCommand, store: MemoryStore) -> None:
    job_id = run.new_job(**BODY)
    shown = run("logs", job_id)
    assert shown.stdout == ""
    assert shown.stderr.startswith(f"Job {job_id} is queued; nothing is printed yet: ")
    assert "worker" in shown.stderr
    store.cancel(job_id, force=False)
    for options in ((), ("-f",)):
        told = run("logs", job_id, *options).stderr
        assert told.startswith(f"Job {job_id} is cancelled; no attempt ever began, so there is no log")


def test_a_new_job_is_shown_with_what_it_waits_for(run: RetrainCommand) -> None:
    Path("job.json").write_text(json.dumps(BODY))
    assert "waits: " in run("submit", "--file", "job.json").stdout
    job_id = run.new_job(**BODY)
    run("cancel", job_id)
    assert "waits: " in run("retry", job_id).stdout


def test_who_follows_a_job_is_told_at_its_end_where_the_run_is(
    run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob
) -> None:
    with ThreadPoolExecutor(1) as thread:
        Path("job.json").write_text(json.dumps(BODY))
        following = thread.submit(run, "submit", "--file", "job.json", "--follow")
        (job,) = wait_until(lambda: store.list(JobFilter(), limit=1), timeout_seconds=20)
        claim = claim_job(job.id)
        store.resolve(claim, Resolution(run_id="a" * 32, experiment_id="3"))
        store.finish(claim, Ending(JobState.SUCCEEDED))
    assert following.result(30).stderr.endswith(f"\nRun {MLFLOW}/#/experiments/3/runs/{'a' * 32}?{TRAINING}\n")


def test_a_list_names_the_model_that_was_made_and_says_why_there_is_no_decision_about_it(
    run: RetrainCommand, store: MemoryStore, claim_job: ClaimJob
) -> None:
    claim = claim_job(run.new_job(**BODY))
    made: dict[str, Any] = {"metrics": {}, "model_versions": [{"name": "by-default", "version": "1"}], "decision": None}
    store.finish(claim, Ending(JobState.SUCCEEDED, result=made))
    row = run("list").stdout.split("\t")
    assert row[3] == "by-default"
    assert row[5].startswith("no decision: train.py registers without auto_compare_and_register")


def test_the_version_is_that_of_the_installation_and_a_copied_folder_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", CliRunner().invoke(main, ["--version"]).output)

    def copied(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("mypackage.cli.main.version", copied)
    assert "a copy of the folder mypackage" in CliRunner().invoke(main, ["--version"]).output
