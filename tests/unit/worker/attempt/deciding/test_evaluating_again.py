"""An evaluation whose worker, servers or time were interrupted goes on, and is not made twice."""

from collections.abc import Sequence
from pathlib import Path

from shared.errors import Code, InfrastructureError
from tests.unit.worker.attempt.deciding.evaluation import Bench


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
