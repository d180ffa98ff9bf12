"""The benchmark's arithmetic: samples of ours and of the baseline, what they come to, and whether that is too much."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

TOLERANCE = 1.2  # over its goal by more than this is too much: less is the noise of a machine


class Measure(StrEnum):
    """What is compared with the goal."""

    RATIO = "ratio"  # ours / baseline
    MORE = "more"  # ours - baseline, in the row's unit
    OURS = "ours"  # ours alone, in the row's unit


@dataclass(frozen=True)
class Sample:
    """The two figures, taken one right after the other."""

    ours: float
    baseline: float


@dataclass(frozen=True)
class Figure:
    """The median of one side, and the quartiles beside it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Goal:
    """What a row is held to."""

    measure: Measure
    value: float
    at_least: bool = False

    def is_missed(self, value: float) -> bool:
        """Whether a measured value is further from the goal than noise explains."""
        return value * TOLERANCE < self.value if self.at_least else value > self.value * TOLERANCE


@dataclass(frozen=True)
class Summary:
    """What the samples of one row come to."""

    ours: Figure
    baseline: Figure
    count: int

    @property
    def ratio(self) -> float:
        """How many times the baseline ours is."""
        return self.ours.median / self.baseline.median if self.baseline.median else float("nan")

    def value(self, measure: Measure) -> float:
        """What is compared with a goal of this measure."""
        match measure:
            case Measure.RATIO:
                return self.ratio
            case Measure.MORE:
                return self.ours.median - self.baseline.median
            case Measure.OURS:
                return self.ours.median


def summarize(samples: Sequence[Sample]) -> Summary:
    """Summarize at least one sample."""
    return Summary(
        figure([each.ours for each in samples]), figure([each.baseline for each in samples]), count=len(samples)
    )


def figure(values: Sequence[float]) -> Figure:
    """Return the median and the quartiles; of a single value, that value."""
    if len(values) == 1:
        return Figure(values[0], values[0], values[0])
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Figure(middle, low, high)
