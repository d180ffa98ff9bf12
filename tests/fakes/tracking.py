"""A tracking server in memory; ``down`` makes it fail as one that is away does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import Code, InfrastructureError, UserError
from tests.fakes.evaluations import FakeEvaluations
from tests.fakes.model_gate import FakeGate
from worker.tracking.client import Run, RunResult, Tracking
from worker.tracking.run_tags import RunRequest


@dataclass
class FakeRun:
    """One run as the server knows it."""

    run_id: str
    request: RunRequest
    status: str = "RUNNING"
    files: dict[str, bytes] = field(default_factory=dict)
    is_fenced: bool = False


class FakeTracking(Tracking):
    """The in-memory twin of Tracking. ``calls_until_up`` brings it back by itself after so many calls."""

    def __init__(self) -> None:
        super().__init__("http://mlflow.example")
        self.down = False
        self.calls_until_up: int | None = None
        self.runs: dict[str, FakeRun] = {}
        self.models = FakeGate()
        self.evaluated = FakeEvaluations()
        self.found = RunResult({"accuracy": 0.94}, None, (("iris", "1"),))
        self.base_models: dict[str, str] = {}  # versions by address

    def ensure_run(self, request: RunRequest) -> Run:
        """Return the attempt's run."""
        self._answer()
        run_id = f"run-{request.job_id}-{request.attempt}"
        self.runs.setdefault(run_id, FakeRun(run_id, request))
        return Run(run_id, "1", None)

    def find_run(self, experiment_name: str, *, job_id: str, attempt: int) -> str | None:
        """Return the attempt's run, if there is one."""
        self._answer()
        run_id = f"run-{job_id}-{attempt}"
        return run_id if run_id in self.runs else None

    @property
    def gate(self) -> FakeGate:  # type: ignore[override]
        """Return ``models``."""
        return self.models

    @property
    def evaluations(self) -> FakeEvaluations:  # type: ignore[override]
        """Return ``evaluated``."""
        return self.evaluated

    def find_base_model(self, address: str) -> str | None:
        """Return the version."""
        self._answer()
        if address.startswith("models:/") and address not in self.base_models:
            raise UserError(Code.INVALID_PARAMETER, f"base_model: there is no {address}.")
        return self.base_models.get(address)

    def finish_run(self, run_id: str, status: str) -> None:
        """Note the status."""
        self._answer()
        self.evaluated.end_open(run_id, "1")
        self.runs[run_id].status = status

    def fence_run(self, run_id: str) -> None:
        """Note that the run is over."""
        self._answer()
        self.runs[run_id].is_fenced = True

    def close_run(self, run_id: str, status: str, log: Path) -> RunResult:
        """Keep the log, note the status, and return ``found``."""
        self._answer()
        self.runs[run_id].files[f"retrain/{log.name}"] = log.read_bytes()
        self.finish_run(run_id, status)
        return self.found

    def keep_files(self, run_id: str, files: Sequence[Path]) -> None:
        """Keep them."""
        self._answer()
        self.runs[run_id].files |= {f"retrain/{each.name}": each.read_bytes() for each in files}

    def _answer(self) -> None:
        if self.calls_until_up is not None:
            self.calls_until_up -= 1
            self.down = self.calls_until_up > 0
        if self.down:
            raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "The tracking server does not answer.")
