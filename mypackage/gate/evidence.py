"""What is known of two models that were scored on the same data, or why they could not be. No I/O."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, islice

MOST_SLICES = 10  # are kept, the worst: the whole decision is one tag, and MLflow cuts a long one


@dataclass(frozen=True)
class Slice:
    """Both models on the examples that have one value in a column. ``difference`` is as in `Evidence`."""

    column: str
    value: str
    n: int
    challenger: float
    champion: float
    difference: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _require_finite(self.challenger, self.champion, self.difference, self.low, self.high)


@dataclass(frozen=True)
class Evidence:
    """Both models' values of the metric on the same examples, as measured after the training.

    ``difference`` is by how much the challenger is better, whichever direction is better: negative if it is worse.
    ``low`` and ``high`` are the bounds of its confidence interval; None if only one number of each model is known, and
    then ``n``, the number of examples, is None, too; or if the models differ on too few examples.
    """

    metric: str
    n: int | None
    challenger: float
    champion: float
    difference: float
    low: float | None
    high: float | None
    confidence: float
    slices: tuple[Slice, ...] = ()

    def __post_init__(self) -> None:
        _require_finite(self.challenger, self.champion, self.difference, self.low, self.high)


@dataclass(frozen=True)
class Unscorable:
    """The project can evaluate models, but not this time: ``which`` is the model that failed, or "both"."""

    which: str
    why: str


def worst(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """Return the slices in which the challenger did worst, at least one of each column: if these hold, all do."""
    by_column = sorted(slices, key=lambda each: (each.column, each.difference, each.value))
    groups = groupby(by_column, key=lambda each: each.column)
    ranked = [(rank, each) for _, group in groups for rank, each in enumerate(islice(group, MOST_SLICES))]
    return tuple(each for _, each in sorted(ranked, key=lambda pair: (pair[0] > 0, pair[1].difference))[:MOST_SLICES])


def _require_finite(*numbers: float | None) -> None:
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise ValueError(f"{numbers} are not all numbers.")
