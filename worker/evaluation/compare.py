"""Compares two models by the scores of each example. A process of its own, which ends: it loads numpy and scipy.

It reads files that trainings wrote, so what is wrong with them is an answer, and what is too much ends this process.

    python -m worker.evaluation.compare <question.json
"""

import csv
import json
import math
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from scipy import stats

MOST_EXAMPLES = 1_000_000
MOST_MEMORY_BYTES = 4 * 2**30
MOST_CPU_SECONDS = 120
MOST_SLICES = 200  # values of one column: with more, it is not a slice but an id
MOST_COLUMNS = 10
NAME_CHARACTERS = 60
# With fewer examples on which two models differ, chance alone looks like a gain too often: 4 in one direction, 1 in 16.
LEAST_DIFFERENCES = 5
ID, SCORE = "id", "score"


class Unfit(Exception):
    """Scores that cannot be compared, and of which model: "challenger", "champion" or "both"."""

    def __init__(self, which: str, why: str) -> None:
        super().__init__(why)
        self.which, self.why = which, why


@dataclass
class Scores:
    """The scores of one model by example, and the columns by which examples may be grouped, in the same order."""

    by_id: dict[str, float] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)


def main() -> None:
    """Answer the question on stdin, on stdout."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_SECONDS, MOST_CPU_SECONDS))
    asked = json.load(sys.stdin)
    try:
        answer = compare(
            *(read(asked[which], which) for which in ("challenger", "champion")),
            lower_is_better=asked["lower_is_better"],
            confidence=asked["confidence"],
            slices=asked["slices"],
        )
    except Unfit as error:
        answer = {"unfit": {"which": error.which, "why": error.why}}
    json.dump(answer, sys.stdout, allow_nan=False)


def read(path: str, which: str) -> Scores:
    """Return the scores in the file; raise Unfit."""
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file, strict=True)
        try:
            return _scores(next(rows, []), rows, which)
        except csv.Error as error:
            raise Unfit(which, f"its scores are not CSV: {error}") from error


def compare(
    challenger: Scores, champion: Scores, *, lower_is_better: bool, confidence: float, slices: Sequence[str]
) -> dict[str, Any]:
    """Return means, by how much the challenger is better, the interval of that, and the same in each slice.

    ``slices`` are the columns that matter; with none, the first few are told.
    """
    ids = list(challenger.by_id)
    _require_same(challenger, champion)
    ours, theirs = _values(challenger, ids), _values(champion, ids)
    answer = _difference(ours, theirs, lower_is_better=lower_is_better, confidence=confidence)
    found = []
    for column in islice((each for each in challenger.columns if each in slices or not slices), MOST_COLUMNS):
        for value, index in _groups(challenger.columns[column]).items():
            part = _difference(ours[index], theirs[index], lower_is_better=lower_is_better, confidence=confidence)
            found.append({"column": column, "value": value, **part})
    return {**answer, "slices": found}


def _scores(header: Sequence[str], rows: Iterator[Sequence[str]], which: str) -> Scores:
    names = [name.strip()[:NAME_CHARACTERS] for name in header]
    if ID not in names or SCORE not in names or len(set(names)) != len(names):
        raise Unfit(which, f"the first line of its scores is {','.join(names)!r:.100}, not '{ID},{SCORE}[,column…]'")
    id_at, score_at = names.index(ID), names.index(SCORE)
    found = Scores(columns={name: [] for name in names if name not in (ID, SCORE)})
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(names):
            raise Unfit(which, f"line {number} of its scores has {len(row)} fields, and {len(names)} are named")
        if len(found.by_id) >= MOST_EXAMPLES:
            raise Unfit(which, f"it has scores of more than {MOST_EXAMPLES} examples")
        if row[id_at] in found.by_id:
            raise Unfit(which, f"its scores have the id {row[id_at]!r:.60} twice")
        found.by_id[row[id_at]] = _number(row[score_at], number, which)
        for name, values in found.columns.items():
            values.append(row[names.index(name)][:NAME_CHARACTERS])
    if not found.by_id:
        raise Unfit(which, "it has no scores")
    return found


def _number(text: str, line: int, which: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Unfit(which, f"line {line} of its scores has {text!r:.40} as score, which is not a number")
    return number


def _require_same(challenger: Scores, champion: Scores) -> None:
    ours, theirs = challenger.by_id.keys(), champion.by_id.keys()
    if ours != theirs:
        odd = min(ours ^ theirs)
        why = f"{len(ours ^ theirs)} examples have a score of one model only, such as {odd!r:.60}"
        raise Unfit("both", why)


def _values(scores: Scores, ids: Sequence[str]) -> Any:
    return np.fromiter((scores.by_id[each] for each in ids), float, len(ids))


def _groups(values: Sequence[str]) -> Mapping[str, Any]:
    names, inverse = np.unique(np.asarray(values), return_inverse=True)
    if len(names) > MOST_SLICES:
        return {}
    return {str(name): np.flatnonzero(inverse == index) for index, name in enumerate(names)}


def _difference(ours: Any, theirs: Any, *, lower_is_better: bool, confidence: float) -> dict[str, Any]:
    gains = theirs - ours if lower_is_better else ours - theirs
    low, high = _interval(gains, confidence)
    means = {"challenger": float(ours.mean()), "champion": float(theirs.mean())}
    return {"n": len(gains), **means, "difference": float(gains.mean()), "low": low, "high": high}


def _interval(gains: Any, confidence: float) -> tuple[float | None, float | None]:
    """Return the bounds of the mean's confidence interval: Student's t of the paired differences.

    None where even a gain in every example that differs happens by chance too often: for 99 %, with fewer than 7.
    """
    if np.count_nonzero(gains) < max(LEAST_DIFFERENCES, -math.log2(1 - confidence)):
        return None, None
    if not gains.std():
        return float(gains[0]), float(gains[0])
    interval = stats.ttest_1samp(gains, 0.0).confidence_interval(confidence)
    return float(interval.low), float(interval.high)


if __name__ == "__main__":
    main()
