"""A worker with a champion and a job whose model is scored anew, for the tests of evaluations."""

from pathlib import Path
from typing import Any

from mypackage.gate.proposal import Proposal
from shared.jobs.model import JobState
from tests.fakes.runner import Script
from tests.fakes.worker import TOKEN, FakeWorker
from worker.runners.seam import AttemptSpec

PROJECT = """\
name: iris
entry_points:
  main:
    parameters: {data: {type: string, default: all}}
    command: "train {data}"
  evaluate:
    parameters: {model_uri: string, data: string}
    command: "evaluate {model_uri} {data}"
"""
BETTER = {"challenger": {"accuracy": 0.9}, "champion": {"accuracy": 0.8}}
WORSE = {"challenger": {"accuracy": 0.7}, "champion": {"accuracy": 0.8}}


class Bench:
    """A worker with a champion, version 1, and one job whose training proposes version 2."""

    def __init__(self, folder: Path, evaluation: Script | None = None, **request: Any) -> None:
        self.worker = FakeWorker.new(folder)
        self.worker.source.project = PROJECT
        self.evaluation = evaluation or Script()
        self.worker.runner.plan = self.script
        self.job_id = self.worker.submit(token=TOKEN, **request)
        self.run_id = f"run-{self.job_id}-1"
        tracking = self.worker.tracking
        made = Proposal("iris", "models:/m-2", self.run_id, "accuracy", False, "champion", 1, True, version="2")
        tracking.models.proposed[self.run_id] = [made]
        # By the logged values the new model would lose.
        tracking.models.values |= {self.run_id: 0.5, "2": 0.5, "1": 0.8}
        tracking.models.aliases["iris", "champion"] = "1"
        tracking.evaluated.possible.add(self.run_id)
        tracking.evaluated.metrics |= BETTER

    def script(self, spec: AttemptSpec) -> Script:
        return self.evaluation if spec.part else Script(outputs=[b"trained\n"])

    def run(self) -> dict[str, Any]:
        job = self.worker.run(self.job_id)
        assert job is not None
        assert job.state is JobState.SUCCEEDED, job.reason
        return self.decision

    @property
    def decision(self) -> dict[str, Any]:
        result = self.worker.store.get(self.job_id).result
        assert result is not None
        return dict(result["decision"])

    @property
    def evaluations(self) -> list[AttemptSpec]:
        return [spec for spec in self.worker.host.started if spec.part]

    @property
    def champion(self) -> str | None:
        return self.worker.tracking.models.aliases.get(("iris", "champion"))
