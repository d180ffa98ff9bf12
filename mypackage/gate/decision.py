"""Decides whether a challenger replaces the champion. Numbers in, a decision out; no I/O."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal

from ..protocol import CHAMPION
from .rules import REFUSE, Guardrail, Rules, direction


@dataclass(frozen=True)
class Challenger:
    """A newly trained model and its value of the deciding metric; None if the run does not have it.

    ``metrics`` are all of the run's, for the guardrails; ``dataset`` is what it was evaluated on, if known.
    """

    model_name: str
    metric: str
    value: float | None
    is_new_model: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: str | None = None


@dataclass(frozen=True)
class Champion:
    """The version in use. ``value`` is None if it cannot be known; ``unknown_because`` says why."""

    version: str
    value: float | None
    unknown_because: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    dataset: str | None = None


@dataclass(frozen=True)
class Decision:
    """The gate's answer; ``reason`` is one line for a person."""

    promoted: bool
    reason: str


@dataclass(frozen=True)
class GuardrailCheck:
    """How a guarded metric did. ``holds`` is None if there is no champion to compare with."""

    allowed: float
    direction: str
    challenger: float | None
    champion: float | None
    holds: bool | None


@dataclass(frozen=True)
class DecisionRecord:
    """A decision and its inputs, as recorded on the run. Unknown and non-finite numbers are None."""

    promoted: bool
    reason: str
    metric: str
    direction: str
    challenger: float | None
    champion: float | None
    champion_version: str | None
    model_name: str
    model_version: str | None
    min_delta: float = 0.0
    min_value: float | None = None
    datasets: Mapping[str, str | None] = field(default_factory=dict)
    guardrails: Mapping[str, GuardrailCheck] = field(default_factory=dict)
    alias: str = CHAMPION

    def to_json(self) -> str:
        """Return the record as JSON that any parser reads (no NaN)."""
        return json.dumps(asdict(self), allow_nan=False, ensure_ascii=False)


def decide(  # noqa: PLR0911 - one return for each thing that may be wrong
    challenger: Challenger, champion: Champion | None, rules: Rules
) -> Decision:
    """Promote only a finite value that is better than the champion's by more than min_delta, or the first champion.

    It must also reach min_value, and no guarded metric may have become worse than allowed.
    """
    ours = challenger.value
    if ours is None:
        return _refuse(f"the run has no metric '{challenger.metric}'. Log it before the model passes the gate")
    if unfit := _unfit(ours, challenger.metric, rules):
        return _refuse(unfit)
    if champion is None:
        return _promote(_first(challenger, ours))
    theirs = known(champion.value)
    if theirs is None:
        return _refuse(_unknown(challenger, ours, champion))
    note = _same_data(challenger, champion)
    if is_other_data(challenger, champion) and rules.different_data == REFUSE:
        return _refuse(f"{note}. Log both on the same data, or send promotion.different_data: note")
    if ours == theirs:
        return _refuse(f"{show(ours)} = {show(theirs)}{_noted('tie', note)}")
    comparison, noted = _compare(ours, theirs), _noted("lower is better" if rules.lower_is_better else "", note)
    if not is_better(ours, theirs, lower_is_better=rules.lower_is_better):
        return _refuse(f"{comparison}{noted}")
    but = _too_little(ours, theirs, rules) or _broken(challenger, champion, rules)
    return _refuse(f"{comparison}, but {but}{noted}") if but else _promote(f"{comparison}{noted}")


def record_of(
    challenger: Challenger,
    champion: Champion | None,
    rules: Rules,
    decision: Decision,
    *,
    version: str | None,
    alias: str,
) -> DecisionRecord:
    """Return the decision with what it was made from; ``version`` is the challenger's, if it is registered."""
    return DecisionRecord(
        promoted=decision.promoted,
        reason=decision.reason,
        metric=challenger.metric,
        direction=direction(rules.lower_is_better),
        challenger=known(challenger.value),
        champion=known(champion.value) if champion else None,
        champion_version=champion.version if champion else None,
        model_name=challenger.model_name,
        model_version=version,
        min_delta=rules.min_delta,
        min_value=rules.min_value,
        datasets={"challenger": challenger.dataset, "champion": champion.dataset if champion else None},
        guardrails={rail.metric: check_guardrail(rail, challenger, champion) for rail in rules.guardrails},
        alias=alias,
    )


def is_better(value: float, than: float, *, lower_is_better: bool) -> bool:
    """Return whether the value is strictly better."""
    return value < than if lower_is_better else value > than


def is_comparable(value: float) -> bool:
    """Return whether the value is a real number. MLflow's SQL store keeps infinity as the largest float."""
    return math.isfinite(value) and abs(value) < sys.float_info.max


def is_other_data(challenger: Challenger, champion: Champion) -> bool:
    """Return whether both models' evaluation data is known, and differs."""
    return None not in (challenger.dataset, champion.dataset) and challenger.dataset != champion.dataset


def check_guardrail(rail: Guardrail, challenger: Challenger, champion: Champion | None) -> GuardrailCheck:
    """Compare a guarded metric; if either run has no comparable value of it, the guardrail does not hold."""
    ours = known(challenger.metrics.get(rail.metric))
    theirs = known(champion.metrics.get(rail.metric)) if champion else None
    holds = None
    if champion:
        holds = (
            ours is not None
            and theirs is not None
            and _gain(ours, theirs, rail.lower_is_better) >= -exact(rail.allowed)
        )
    return GuardrailCheck(rail.allowed, direction(rail.lower_is_better), ours, theirs, holds)


def known(value: float | None) -> float | None:
    """Return the value if it is a real number."""
    return value if value is not None and is_comparable(value) else None


def exact(value: float) -> Decimal:
    """Return the number as written in decimal, so that 0.3 is better than 0.2 by 0.1 and not by slightly less."""
    return Decimal(repr(float(value)))


def show(value: float | Decimal, *, digits: int = 4) -> str:
    """Return the number as a person would write it."""
    return f"{float(value):.{digits}g}"


def _promote(text: str) -> Decision:
    return Decision(promoted=True, reason=f"promoted: {text}")


def _refuse(text: str) -> Decision:
    return Decision(promoted=False, reason=f"not promoted: {text}")


def _unfit(value: float, metric: str, rules: Rules) -> str:
    """Say why the value cannot be promoted whatever the champion's is."""
    if not is_comparable(value):
        return f"{metric} is {value}, which cannot be compared"
    bound = rules.min_value
    if bound is None or not is_better(bound, value, lower_is_better=rules.lower_is_better):
        return ""
    digits = _telling_digits(value, bound)
    side, what = ("above", "most") if rules.lower_is_better else ("below", "least")
    shown = f"{show(value, digits=digits)} is {side} {show(bound, digits=digits)}"
    return f"{metric} {shown}, the {what} that is promoted (min_value)"


def _first(challenger: Challenger, value: float) -> str:
    what = "version" if challenger.is_new_model else "champion"
    return f"first {what} of '{challenger.model_name}' ({challenger.metric} {show(value)})"


def _unknown(challenger: Challenger, value: float, champion: Champion) -> str:
    why = champion.unknown_because or f"its {challenger.metric} is {champion.value}"
    return (
        f"nothing to compare {challenger.metric} {show(value)} with: the champion is version "
        f"{champion.version} of '{challenger.model_name}', and {why}. Move the alias to a version "
        f"that has the metric, or remove the alias to let the next model in"
    )


def _too_little(value: float, champion: float, rules: Rules) -> str:
    gain = _gain(value, champion, rules.lower_is_better)
    if gain > exact(rules.min_delta) or not rules.min_delta:
        return ""
    return f"better by {show(gain)} only, and more than {show(rules.min_delta)} is asked for (min_delta)"


def _broken(challenger: Challenger, champion: Champion, rules: Rules) -> str:
    """Say which guardrails do not hold."""
    checks = {rail: check_guardrail(rail, challenger, champion) for rail in rules.guardrails}
    return "; ".join(_fall(rail, check, champion) for rail, check in checks.items() if not check.holds)


def _fall(rail: Guardrail, check: GuardrailCheck, champion: Champion) -> str:
    if check.challenger is None:
        return f"its run has no {rail.metric} to compare, which is guarded; log it before the model passes the gate"
    if check.champion is None:
        return f"the champion, version {champion.version}, has no {rail.metric} to compare, which is guarded"
    loss = -_gain(check.challenger, check.champion, rail.lower_is_better)
    digits = _telling_digits(loss, rail.allowed)
    verb = "rose" if rail.lower_is_better else "fell"
    return f"{rail.metric} {verb} by {show(loss, digits=digits)}, {show(rail.allowed, digits=digits)} is allowed"


def _gain(value: float, than: float, lower_is_better: bool) -> Decimal:
    difference = exact(value) - exact(than)
    return -difference if lower_is_better else difference


def _compare(challenger: float, champion: float) -> str:
    digits = _telling_digits(challenger, champion)
    sign = "<" if challenger < champion else ">"
    return f"{show(challenger, digits=digits)} {sign} {show(champion, digits=digits)}"


def _telling_digits(one: float | Decimal, other: float | Decimal) -> int:
    """Return how many digits it takes to see that the two differ."""
    return next((d for d in (4, 6, 9, 17) if show(one, digits=d) != show(other, digits=d)), 17)


def _same_data(challenger: Challenger, champion: Champion) -> str:
    ours, theirs = challenger.dataset, champion.dataset
    if ours is None and theirs is None:
        return ""
    if ours is None:
        return f"the champion was evaluated on {theirs}, and this model's evaluation data is not stated"
    if theirs is None:
        return f"evaluated on {ours}, and the champion's evaluation data is not stated"
    if ours == theirs:
        return "same evaluation data"
    return f"different evaluation data: {ours} / {theirs}, the comparison says little"


def _noted(*notes: str) -> str:
    return "".join(f" ({note})" for note in notes if note)
