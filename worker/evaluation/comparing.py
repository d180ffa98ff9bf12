"""Asks a process of its own to compare scores, so that the worker never loads numpy and scipy."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mypackage.gate.evidence import Evidence, Slice, Unscorable, worst

SECONDS = 300.0
CONFIDENCE = 0.95  # of the interval that is shown, where no rule asks for another
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Question:
    """What to compare: two files of scores of each example, by what metric, and how."""

    metric: str
    challenger: Path
    champion: Path
    lower_is_better: bool
    confidence: float = CONFIDENCE
    slices: tuple[str, ...] = ()


def compare(question: Question) -> Evidence | Unscorable:
    """Return what the scores say, or why they cannot be compared."""
    asked = {
        "challenger": str(question.challenger),
        "champion": str(question.champion),
        "lower_is_better": question.lower_is_better,
        "confidence": question.confidence,
        "slices": question.slices,
    }
    command = [sys.executable, "-m", "worker.evaluation.compare"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT
        )
    except subprocess.TimeoutExpired:
        return Unscorable("both", f"comparing their scores took longer than {SECONDS:g} s")
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2][:200]
        return Unscorable("both", f"comparing their scores failed: {last or f'exit code {done.returncode}'}")
    return _evidence(question, json.loads(done.stdout))


def _evidence(question: Question, said: dict[str, Any]) -> Evidence | Unscorable:
    if unfit := said.get("unfit"):
        return Unscorable(unfit["which"], unfit["why"])
    slices = worst(Slice(**each) for each in said.pop("slices"))
    return Evidence(metric=question.metric, confidence=question.confidence, slices=slices, **said)
