"""An evaluation whose worker, servers or time were interrupted goes on, and is not made twice."""

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError
from shared.jobs.model import JobState
from tests.fakes.runner import Script
from tests.unit.worker.attempt.deciding.evaluation import Bench
from worker.runners.seam import Inside
from worker.tracking.evaluation_runs import LEFT

AWAY = InfrastructureError(Code.GIT_UNREACHABLE, "the git host does not answer")


def test_a_model_that_was_decided_about_is_not_scored_again_though_mlflow_was_away_after_that(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    models, note = bench.worker.tracking.models, bench.worker.tracking.models.note
    failures = [InfrastructureError(Code.TRACKING_UNAVAILABLE, "away")]

    def fail_once(run_ids: Sequence[str], *, decision: str, reason: str, promoted: bool) -> None:
        if failures:
            raise failures.pop()
        note(run_ids, decision=decision, reason=reason, promoted=promoted)

    models.note = fail_once  # type: ignore[method-assign]
    assert bench.run()["promoted"]
    assert (failures, len(bench.evaluations)) == ([], 1)


def test_an_attempt_that_ends_while_its_models_are_scored_leaves_neither_container_nor_open_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.attempt.patience.PATIENCE_SECONDS", 0)
    bench = Bench(tmp_path, Script(hangs=True), retry={"max_attempts": 1})
    worker = bench.worker

    def fail(_number: int) -> None:
        if bench.evaluations:
            raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "away")

    worker.runner.before_poll = fail
    job = worker.run(bench.job_id)
    assert job is not None
    assert (job.state, worker.host.attempts) == (JobState.FAILED, {})
    assert {run.why for run in worker.tracking.evaluated.runs.values()} == {LEFT}


def test_a_git_host_that_is_away_after_the_training_does_not_keep_its_models_from_being_scored(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.worker.runner.before_poll = lambda _number: bench.worker.source.errors.append(AWAY)
    assert bench.run()["promoted"]
    assert (len(bench.evaluations), len(bench.worker.source.requests)) == (1, 1)  # git was asked for the training only
    assert bench.worker.source.list_names() == []


def test_the_commit_is_checked_out_again_if_its_folder_is_gone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    def discard(_number: int) -> None:
        if not bench.evaluations:
            bench.worker.source.discard(f"retrain-{bench.job_id}-1")

    bench.worker.runner.before_poll = discard
    assert bench.run()["promoted"]
    assert bench.worker.source.requests[-1].commit_sha == bench.worker.store.get(bench.job_id).commit_sha
    assert len(bench.worker.source.requests) == 2


def test_the_commit_is_checked_out_again_where_the_training_may_have_changed_its_files(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.worker.runner.inside = Inside(shares_checkout=True)
    assert bench.run()["promoted"]
    assert len(bench.worker.source.requests) == 2


def test_a_disk_that_is_full_when_scores_are_compared_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    evaluated, fetch = bench.worker.tracking.evaluated, bench.worker.tracking.evaluated.fetch_scores
    failures = [OSError(errno.ENOSPC, "No space left on device")]

    def fail_once(run_id: str, folder: Path) -> Path | None:
        if failures:
            raise failures.pop()
        return fetch(run_id, folder)

    evaluated.fetch_scores = fail_once  # type: ignore[method-assign]
    assert bench.run()["promoted"]
