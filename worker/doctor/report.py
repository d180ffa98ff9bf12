"""The doctor's findings as people and programs read them."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from worker.findings.finding import Finding, State

MARKS = {State.OK: "ok", State.WARNING: "warning", State.FAILURE: "FAILURE", State.SKIPPED: "skipped"}
MARK_COLUMN = 9
ADVICE_MARK = "-> "


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each finding, with what to do beneath it, and how many of each there are."""
    subject_column = max(len(each.subject) for each in findings) + 2
    lines: list[str] = []
    for each in findings:
        lines.append(f"{MARKS[each.state]:{MARK_COLUMN}}{each.subject:{subject_column}}{_one_line(each.seen)}")
        if each.advice:
            lines.append(f"{'':{MARK_COLUMN}}{ADVICE_MARK}{_one_line(each.advice)}")
    return "\n".join([*lines, "", _counted(findings)]) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """All of it, for programs."""
    record = {"ok": not has_failure(findings), "findings": [asdict(each) for each in findings]}
    return json.dumps(record, indent=2) + "\n"


def has_failure(findings: Sequence[Finding]) -> bool:
    """Whether somebody must act."""
    return any(each.state is State.FAILURE for each in findings)


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter(each.state for each in findings)
    return ", ".join(f"{counts[state]} {MARKS[state]}" for state in State if counts[state])


def _one_line(text: str) -> str:
    """What others said, kept from a terminal's control characters and from lines of its own."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
