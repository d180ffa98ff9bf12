"""What deciding asks of an evaluation of two models, and gets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mypackage.gate.decision import Champion
from mypackage.gate.evidence import Evidence, Unscorable
from mypackage.gate.proposal import Proposal
from mypackage.gate.rules import Rules
from shared.jobs.records import Claim
from worker.tracking.evaluation_runs import Evaluated


@dataclass
class Watch:
    """What a long decision looks at: ``check`` raises if the attempt must be left; what is ``said`` joins its log.

    ``spent_seconds`` is how long the attempt's evaluations took so far: a training may propose many models.
    """

    check: Callable[[], None] = lambda: None
    said: list[str] = field(default_factory=list)
    spent_seconds: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """What to compare: the proposal of this number in the claimed attempt with the champion, by a metric."""

    claim: Claim
    number: int
    proposal: Proposal
    champion: Champion
    metric: str
    rules: Rules


@dataclass(frozen=True)
class Scored:
    """What came of it, and the runs with what both models' evaluations logged."""

    evidence: Evidence | Unscorable
    challenger: Evaluated
    champion: Evaluated


class Evaluator(Protocol):
    """Scores models; `Evaluating` is the real one."""

    def score(self, asked: Comparison, watch: Watch) -> Scored | None:
        """Return what came of it; None if the project cannot evaluate models."""


class NoEvaluator:
    """For projects without an entry point that evaluates a model."""

    def score(self, asked: Comparison, watch: Watch) -> Scored | None:
        """Return None."""
        return None
