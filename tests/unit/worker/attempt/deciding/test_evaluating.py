"""Champion and new model are scored on the same data before the decision, wherever a worker is interrupted."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError
from shared.jobs.model import JobState
from tests.fakes.runner import Script
from tests.fakes.worker import TOKEN
from tests.unit.worker.attempt.deciding.evaluation import PROJECT, WORSE, Bench
from worker.attempt import supervision
from worker.attempt.evaluating import KEPT_OUTPUT_BYTES
from worker.attempt.evaluator import Watch
from worker.interruption import WorkerStopping
from worker.runners.seam import Exit
from worker.tracking.evaluation_runs import Evaluated, TooBig


def test_the_models_are_compared_on_the_same_data_and_not_by_what_was_logged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(outputs=[b"scored both\n"]), parameters={"data": "new ones"})
    decision = bench.run()
    assert decision["reason"] == (
        "promoted: better by 0.1 (accuracy, the same data now, one value of each model, so without an interval)"
    )
    assert bench.champion == "2"
    assert decision["evidence"]["challenger"] == 0.9
    [spec] = bench.evaluations
    assert spec.part == ".evaluation-0-1"
    assert "evaluate models:/iris/2 '\"'\"'new ones'\"'\"'" in spec.command
    assert "evaluate models:/iris/1" in spec.command
    assert bench.worker.host.attempts == {}  # both are cleared away
    log = bench.worker.log(bench.job_id).decode()
    assert log == f"trained\nscored both\n{decision['reason']}\n"
    assert sorted(bench.worker.tracking.evaluated.names.values()) == [
        "evaluation of the champion, version 1",
        "evaluation of the new model",
    ]


def test_what_would_be_promoted_is_scored_and_no_other_model_that_the_training_names_beside_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    tracking, run_id = bench.worker.tracking, bench.run_id
    tracking.models.proposed[run_id] = [replace(tracking.models.proposed[run_id][0], model_uri="models:/iris/1")]
    bench.run()
    assert bench.evaluations[0].command.count("evaluate models:/iris/1") == 1


def test_a_model_that_only_logged_better_values_is_not_promoted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.worker.tracking.models.values |= {bench.run_id: 0.99, "2": 0.99}
    bench.worker.tracking.evaluated.metrics |= WORSE
    assert bench.run()["reason"].startswith("not promoted: worse by 0.1 (accuracy, the same data now")
    assert bench.champion == "1"


def test_the_first_model_and_projects_without_evaluate_need_no_second_container(tmp_path: Path) -> None:
    first = Bench(tmp_path / "first")
    first.worker.tracking.models.aliases.clear()
    assert first.run()["promoted"]
    without = Bench(tmp_path / "without")
    without.worker.tracking.evaluated.possible.clear()
    assert without.run()["reason"] == "not promoted: 0.5 < 0.8"
    assert first.evaluations == without.evaluations == []


def test_scores_of_each_example_give_an_interval_and_slices(tmp_path: Path) -> None:
    bench = Bench(tmp_path, promotion={"min_confidence": 0.9, "slices": {"age": 0.1}})
    evaluated = bench.worker.tracking.evaluated
    evaluated.metrics.clear()
    rows = [f"{number},{{}},{'old' if number % 2 else 'young'}" for number in range(40)]
    evaluated.scores["challenger"] = "\n".join(["id,score,age", *(row.format(1) for row in rows)])
    evaluated.scores["champion"] = "\n".join(
        ["id,score,age", *(row.format((number % 4 > 0 and 1) or 0) for number, row in enumerate(rows))]
    )
    decision = bench.run()
    assert decision["reason"].startswith("promoted: better by 0.25 [0.133, 0.367] on 40 examples (accuracy")
    assert decision["evidence"]["confidence"] == 0.9
    assert [each["value"] for each in decision["evidence"]["slices"]] == ["old", "young"]


def scores(bench: Bench, **texts: str) -> None:
    bench.worker.tracking.evaluated.scores |= texts


def too_big(bench: Bench) -> None:
    def fetch(run_id: str, folder: Path) -> Path | None:
        raise TooBig("its scores.csv has 9 bytes, and 3 are the most")

    bench.worker.tracking.evaluated.fetch_scores = fetch  # type: ignore[method-assign]


ROWS = "id,score\n1,1\n2,0\n"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda bench: scores(bench, challenger=ROWS), "the champion, version 1, could not be scored on the same data"),
        (
            lambda bench: scores(bench, champion=ROWS),
            "this model could not be scored on the same data: evaluate logged",
        ),
        (lambda bench: scores(bench, champion=ROWS, challenger="x"), "this model could not be scored"),
        (
            lambda bench: scores(bench, champion=ROWS, challenger=ROWS),
            "this model could not be scored on the same data: its scores have the mean 0.5, and evaluate logged "
            "accuracy 0.9: log no scores.csv for a metric that is not a mean of scores",
        ),
        (too_big, "this model could not be scored on the same data: its scores.csv has 9 bytes, and 3 are the most"),
        (
            lambda bench: bench.worker.tracking.evaluated.metrics.update(champion={"loss": 0.1}),
            "the champion, version 1, could not be scored on the same data: evaluate logged neither a number 'accu",
        ),
    ],
)
def test_what_cannot_be_compared_is_told_and_refused(tmp_path: Path, change: Callable[[Bench], None], why: str) -> None:
    bench = Bench(tmp_path)
    change(bench)
    assert bench.run()["reason"].startswith(f"not promoted: {why}")
    assert bench.champion == "1"


OUTPUT = (
    b"[evaluate] the new model (models:/iris/2)\nfine\n"
    b"[evaluate] the champion, version 1 (models:/iris/1)\nTraceback\nModuleNotFoundError: No module named 'xgboost'\n"
)


@pytest.mark.parametrize(
    ("evaluation", "which", "why"),
    [
        (
            Script(outputs=[OUTPUT], exit=Exit(2)),
            "champion",
            "evaluate failed: ModuleNotFoundError: No module named 'xgboost'",
        ),
        (Script(outputs=[OUTPUT], exit=Exit(1)), "challenger", "evaluate failed: fine"),
        (Script(exit=Exit(3)), "both", "evaluate failed: it printed nothing"),
        (Script(exit=Exit(137, oom_killed=True)), "both", "evaluate failed: it ran out of memory"),
        (Script(exit=Exit(139)), "both", "evaluate failed: it ended with exit code 139"),
        (
            Script(hangs=True),
            "both",
            "evaluate failed: it was stopped: those of one attempt have 0.2 s together (timeouts.run_seconds)",
        ),
    ],
)
def test_an_evaluation_that_fails_says_whose_and_why(tmp_path: Path, evaluation: Script, which: str, why: str) -> None:
    bench = Bench(tmp_path, evaluation, timeouts={"run_seconds": 0.2})
    assert bench.run()["unscorable"] == {"which": which, "why": why}
    assert (bench.champion, bench.worker.host.attempts) == ("1", {})


def test_many_proposals_have_no_more_time_than_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "Watch", lambda check: Watch(check, spent_seconds=31))
    bench = Bench(tmp_path, Script(hangs=True), timeouts={"run_seconds": 30})
    began = time.monotonic()
    assert "it was stopped" in bench.run()["unscorable"]["why"]
    assert time.monotonic() - began < 25


def test_the_logged_values_decide_where_that_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(exit=Exit(2)), promotion={"on_unscorable": "logged"})
    assert bench.run()["reason"].startswith("not promoted: 0.5 < 0.8 (the logged values, as the champion, version 1,")


def test_a_secret_that_the_evaluation_prints_is_kept_nowhere(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(outputs=[f"Error: {TOKEN}\n".encode()], exit=Exit(1)))
    decision = bench.run()
    assert TOKEN not in str(decision)
    assert TOKEN not in str(bench.worker.tracking.evaluated.runs)
    assert TOKEN.encode() not in bench.worker.log(bench.job_id)


def test_of_a_long_output_only_whole_lines_are_kept_so_that_no_half_of_a_secret_is(tmp_path: Path) -> None:
    printed = f"{TOKEN}\n".encode() + b"x" * (KEPT_OUTPUT_BYTES - 10) + b"\nend"  # cut in the middle of the secret
    bench = Bench(tmp_path, Script(outputs=[printed + b"\n"]))
    bench.run()
    log = bench.worker.log(bench.job_id)
    assert b"\nend\n" in log
    assert TOKEN[-4:].encode() not in log


def test_what_it_printed_is_in_the_log_once_though_mlflow_was_away_at_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(outputs=[b"scored both\n"]))
    evaluated, end = bench.worker.tracking.evaluated, bench.worker.tracking.evaluated.end
    failures = [InfrastructureError(Code.TRACKING_UNAVAILABLE, "away")]

    def fail_once(run_id: str, *, why: str = "") -> Evaluated:
        if failures:
            raise failures.pop()
        return end(run_id, why=why)

    evaluated.end = fail_once  # type: ignore[method-assign]
    assert bench.run()["promoted"]
    assert bench.worker.log(bench.job_id).count(b"scored both") == 1


def test_a_worker_that_stops_leaves_the_evaluation_to_the_next_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(hangs=True))
    first = bench.worker

    def stop(_number: int) -> None:
        if bench.evaluations:
            first.stopping.set()

    first.runner.before_poll = stop
    assert first.run(bench.job_id) is None
    [name] = [name for name in first.host.attempts if ".evaluation" in name]
    first.sweep.reconcile()  # of a worker that does not supervise it: it is not taken for a leftover
    assert name in first.host.attempts
    bench.worker = first.restarted()
    bench.worker.source.project = PROJECT
    bench.worker.runner.finish(name)
    assert bench.run()["promoted"]
    assert len(bench.evaluations) == 1  # adopted, not started again


def test_an_evaluation_that_has_ended_is_not_repeated(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    evaluated, fetch = bench.worker.tracking.evaluated, bench.worker.tracking.evaluated.fetch_scores
    failures = [WorkerStopping(), None]

    def fail_once(run_id: str, folder: Path) -> Path | None:
        if error := failures.pop(0) if failures else None:
            raise error
        return fetch(run_id, folder)

    evaluated.fetch_scores = fail_once  # type: ignore[method-assign]
    assert bench.worker.run(bench.job_id) is None
    bench.worker = bench.worker.restarted()
    assert bench.run()["promoted"]
    assert len(bench.evaluations) == 1


def test_a_cancel_ends_the_evaluation_and_the_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Script(hangs=True))

    def cancel(_number: int) -> None:
        if bench.evaluations:
            bench.worker.store.cancel(bench.job_id, force=False)

    bench.worker.runner.before_poll = cancel
    job = bench.worker.run(bench.job_id)
    assert job is not None
    assert (job.state, bench.champion, bench.worker.host.attempts) == (JobState.CANCELLED, "1", {})
    assert {run.why for run in bench.worker.tracking.evaluated.runs.values()} == {"the job was cancelled"}


def test_a_project_whose_evaluate_cannot_run_is_refused_before_it_trains(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.worker.source.project = PROJECT.replace("data: string}", "data: string, labels: string}")
    job = bench.worker.run(bench.job_id)
    assert job is not None
    assert job.reason is not None
    assert "Entry point 'evaluate' needs a value for labels" in job.reason.message
    assert bench.worker.host.started == []


def test_guarded_metrics_are_compared_on_the_same_data_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, promotion={"guardrails": {"recall": 0.01}})
    bench.worker.tracking.evaluated.metrics |= {
        "challenger": {"accuracy": 0.9, "recall": 0.5},
        "champion": {"accuracy": 0.8, "recall": 0.6},
    }
    assert "but recall fell by 0.1, 0.01 is allowed" in bench.run()["reason"]


def test_a_guarded_metric_that_was_measured_anew_for_one_model_only_is_compared_as_logged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, promotion={"guardrails": {"recall": 0.05}})
    bench.worker.tracking.models.others = {"recall": 0.7}
    bench.worker.tracking.evaluated.metrics |= {
        "challenger": {"accuracy": 0.9, "recall": 0.4},
        "champion": {"accuracy": 0.8},
    }
    assert bench.run()["promoted"]


def test_approval_is_asked_for_by_the_gain_on_the_same_data(tmp_path: Path) -> None:
    bench = Bench(tmp_path, promotion={"approve_below": 0.2})
    assert bench.run()["state"] == "awaiting_approval"
