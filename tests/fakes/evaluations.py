"""The runs of evaluations in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mypackage.protocol import SCORES_FILE
from worker.tracking.evaluation_runs import LEFT, Evaluated


@dataclass
class FakeEvaluations:
    """``metrics`` and ``scores`` are what an evaluation logs, by "challenger" or "champion"; ``possible`` are runs."""

    possible: set[str] = field(default_factory=set)
    metrics: dict[str, Mapping[str, float]] = field(default_factory=dict)
    scores: dict[str, str] = field(default_factory=dict)
    runs: dict[str, Evaluated] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def is_possible(self, run_id: str) -> bool:
        """Return whether the test says so."""
        return run_id in self.possible

    def ensure(self, job_id: str, job_run: str, experiment_id: str, *, key: str, name: str) -> Evaluated:
        """Return the run of this key."""
        run_id = f"{job_run}/{key}"
        self.names[run_id] = name
        return self.runs.setdefault(run_id, Evaluated(run_id, False, "", {}))

    def end(self, run_id: str, *, why: str = "") -> Evaluated:
        """End it, with what the test says was measured."""
        metrics = {} if why else self.metrics.get(_which(run_id), {})
        self.runs[run_id] = replace(self.runs[run_id], has_ended=True, why=why, metrics=metrics)
        return self.runs[run_id]

    def end_open(self, job_run: str, experiment_id: str) -> None:
        """End those under the job's run."""
        for run_id, run in self.runs.items():
            if run_id.startswith(f"{job_run}/") and not run.has_ended:
                self.end(run_id, why=LEFT)

    def fetch_scores(self, run_id: str, folder: Path) -> Path | None:
        """Write what the test says."""
        text = self.scores.get(_which(run_id))
        if text is None:
            return None
        (folder / SCORES_FILE).write_text(text)
        return folder / SCORES_FILE


def _which(run_id: str) -> str:
    return run_id.rpartition(" ")[2]
