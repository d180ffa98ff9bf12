"""The promotion gate: whether a challenger takes the champion's place. Numbers in, a decision out; no I/O here."""

import json
import math
import sys
from dataclasses import asdict, dataclass

CHAMPION_ALIAS = "champion"


@dataclass(frozen=True)
class Challenger:
    """A newly trained model and its value of the metric that decides."""

    model_name: str
    metric: str
    value: float
    is_new_model: bool = False


@dataclass(frozen=True)
class Champion:
    """The version in use. ``value`` is None where it cannot be known; ``unknown_because`` says why."""

    version: str
    value: float | None
    unknown_because: str = ""


@dataclass(frozen=True)
class Decision:
    """The gate's answer; ``reason`` is one line for a person."""

    promoted: bool
    reason: str


@dataclass(frozen=True)
class DecisionRecord:
    """A decision with what it was made from, as it is kept on the run. Unknown and non-finite numbers are None."""

    promoted: bool
    reason: str
    metric: str
    direction: str
    challenger: float | None
    champion: float | None
    champion_version: str | None
    model_name: str
    model_version: str | None

    def to_json(self) -> str:
        """Return the record as JSON that any parser reads (no NaN)."""
        return json.dumps(asdict(self), allow_nan=False)


def decide(challenger: Challenger, champion: Champion | None, *, lower_is_better: bool) -> Decision:
    """Promote only a finite value that is strictly better than the champion's known value, or the first champion."""
    if not is_comparable(challenger.value):
        return _refuse(f"{challenger.metric} is {challenger.value}, which cannot be compared")
    if champion is None:
        return _promote(_first(challenger))
    if champion.value is None or not is_comparable(champion.value):
        return _refuse(_unknown(challenger, champion))
    if challenger.value == champion.value:
        return _refuse(f"{show(challenger.value)} = {show(champion.value)} (tie)")
    comparison = _compare(challenger.value, champion.value, lower_is_better)
    is_better = (challenger.value < champion.value) == lower_is_better
    return _promote(comparison) if is_better else _refuse(comparison)


def is_comparable(value: float) -> bool:
    """Return whether the value is a real number. MLflow's SQL store keeps infinity as the largest float."""
    return math.isfinite(value) and abs(value) < sys.float_info.max


def show(value: float, *, digits: int = 4) -> str:
    """Return the number as a person writes it."""
    return f"{value:.{digits}g}"


def _promote(text: str) -> Decision:
    return Decision(promoted=True, reason=f"promoted: {text}")


def _refuse(text: str) -> Decision:
    return Decision(promoted=False, reason=f"not promoted: {text}")


def _first(challenger: Challenger) -> str:
    what = "version" if challenger.is_new_model else "champion"
    return f"first {what} of '{challenger.model_name}' ({challenger.metric} {show(challenger.value)})"


def _unknown(challenger: Challenger, champion: Champion) -> str:
    why = champion.unknown_because or f"its {challenger.metric} is {champion.value}"
    return (
        f"nothing to compare {challenger.metric} {show(challenger.value)} with: the champion is version "
        f"{champion.version} of '{challenger.model_name}', and {why}. Move the alias '{CHAMPION_ALIAS}' to a version "
        f"that has the metric, or remove the alias to let the next model in"
    )


def _compare(challenger: float, champion: float, lower_is_better: bool) -> str:
    digits = next(d for d in (4, 6, 9, 17) if show(challenger, digits=d) != show(champion, digits=d))
    sign = "<" if challenger < champion else ">"
    note = " (lower is better)" if lower_is_better else ""
    return f"{show(challenger, digits=digits)} {sign} {show(champion, digits=digits)}{note}"
