"""Formats the doctor's findings as text for people and JSON for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from worker.findings.finding import Finding, State

MARKS = {State.OK: "ok", State.WARNING: "warning", State.FAILURE: "FAILURE", State.SKIPPED: "skipped"}
MARK_COLUMN = 9
ADVICE_MARK = "-> "


def as_text(findings: Sequence[Finding]) -> str:
    """Return a line for each finding, with what to do beneath it, and a count of each state."""
    subject_column = max(len(each.subject) for each in findings) + 2
    lines: list[str] = []
    for each in findings:
        lines.append(f"{MARKS[each.state]:{MARK_COLUMN}}{each.subject:{subject_column}}{_one_line(each.seen)}")
        if each.advice:
            lines.append(f"{'':{MARK_COLUMN}}{ADVICE_MARK}{_one_line(each.advice)}")
    return "\n".join([*lines, "", _counted(findings)]) + "\n"


def as_json(findings: Sequence[Finding]) -> str:
    """Return all findings as JSON."""
    record = {"ok": not has_failure(findings), "findings": [asdict(each) for each in findings]}
    return json.dumps(record, indent=2) + "\n"


def has_failure(findings: Sequence[Finding]) -> bool:
    """Return whether a check failed, so that somebody must act."""
    return any(each.state is State.FAILURE for each in findings)


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter(each.state for each in findings)
    return ", ".join(f"{counts[state]} {MARKS[state]}" for state in State if counts[state])


def _one_line(text: str) -> str:
    """Return foreign text without control characters and on one line."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
