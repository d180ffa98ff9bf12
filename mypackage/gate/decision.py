"""Decides whether a challenger replaces the champion. Numbers in, a decision out; no I/O."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ..protocol import CHAMPION
from .evidence import Evidence, Unscorable
from .numbers import exact, gain, is_better, is_comparable, known, show, telling_digits
from .rules import REFUSE, Guardrail, Rules, direction
from .scored import describe, misses, objection

SAME_DATA = "Log both on the same data, add an entry point 'evaluate', or send promotion.different_data: note"


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
    min_confidence: float | None = None
    slices: Mapping[str, float] = field(default_factory=dict)
    on_unscorable: str = REFUSE
    different_data: str = REFUSE
    evidence: Evidence | None = None
    unscorable: Unscorable | None = None

    def to_json(self) -> str:
        """Return the record as JSON that any parser reads (no NaN)."""
        return json.dumps(asdict(self), allow_nan=False, ensure_ascii=False)


def decide(
    challenger: Challenger, champion: Champion | None, rules: Rules, evidence: Evidence | Unscorable | None = None
) -> Decision:
    """Promote only a finite value that is better than the champion's by more than min_delta, or the first champion.

    It must also reach min_value, and no guarded metric may have become worse than allowed. The values are those of the
    ``evidence``, if both models were scored on the same data; else those that were logged.
    """
    if champion is not None and isinstance(evidence, Evidence):
        return _decide_by_evidence(challenger, champion, rules, evidence)
    unscored = evidence if isinstance(evidence, Unscorable) else misses(rules)
    if champion is None or unscored is None:
        return _decide_by_log(challenger, champion, rules)
    if rules.on_unscorable == REFUSE:
        return _refuse(_not_scored(challenger, champion, unscored))
    decision = _decide_by_log(challenger, champion, rules)
    return Decision(decision.promoted, f"{decision.reason} (the logged values, as {_who_failed(champion, unscored)})")


def _decide_by_evidence(challenger: Challenger, champion: Champion, rules: Rules, evidence: Evidence) -> Decision:
    if unfit := _unfit(evidence.challenger, evidence.metric, rules):
        return _refuse(unfit)
    comparison, noted = describe(evidence, lower_is_better=rules.lower_is_better)
    if evidence.difference <= 0:
        return _refuse(f"{comparison}{noted}")
    but = objection(evidence, rules) or _broken(challenger, champion, rules)
    return _refuse(f"{comparison}, but {but}{noted}") if but else _promote(f"{comparison}{noted}")


def _decide_by_log(  # noqa: PLR0911 - one return for each thing that may be wrong
    challenger: Challenger, champion: Champion | None, rules: Rules
) -> Decision:
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
        return _refuse(f"{note}. {SAME_DATA}")
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
    evidence: Evidence | Unscorable | None = None,
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
        min_confidence=rules.min_confidence,
        slices=dict(rules.slices),
        on_unscorable=rules.on_unscorable,
        different_data=rules.different_data,
        evidence=evidence if isinstance(evidence, Evidence) else None,
        unscorable=evidence if isinstance(evidence, Unscorable) else None,
    )


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
            and gain(ours, theirs, lower_is_better=rail.lower_is_better) >= -exact(rail.allowed)
        )
    return GuardrailCheck(rail.allowed, direction(rail.lower_is_better), ours, theirs, holds)


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
    digits = telling_digits(value, bound)
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
    difference = gain(value, champion, lower_is_better=rules.lower_is_better)
    if difference > exact(rules.min_delta) or not rules.min_delta:
        return ""
    return f"better by {show(difference)} only, and more than {show(rules.min_delta)} is asked for (min_delta)"


def _broken(challenger: Challenger, champion: Champion, rules: Rules) -> str:
    """Say which guardrails do not hold."""
    checks = {rail: check_guardrail(rail, challenger, champion) for rail in rules.guardrails}
    return "; ".join(_fall(rail, check, champion) for rail, check in checks.items() if not check.holds)


def _fall(rail: Guardrail, check: GuardrailCheck, champion: Champion) -> str:
    if check.challenger is None:
        return f"its run has no {rail.metric} to compare, which is guarded; log it before the model passes the gate"
    if check.champion is None:
        return f"the champion, version {champion.version}, has no {rail.metric} to compare, which is guarded"
    loss = -gain(check.challenger, check.champion, lower_is_better=rail.lower_is_better)
    digits = telling_digits(loss, rail.allowed)
    verb = "rose" if rail.lower_is_better else "fell"
    return f"{rail.metric} {verb} by {show(loss, digits=digits)}, {show(rail.allowed, digits=digits)} is allowed"


def _compare(challenger: float, champion: float) -> str:
    digits = telling_digits(challenger, champion)
    sign = "<" if challenger < champion else ">"
    return f"{show(challenger, digits=digits)} {sign} {show(champion, digits=digits)}"


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


def _not_scored(challenger: Challenger, champion: Champion, unscored: Unscorable) -> str:
    return (
        f"{_who_failed(champion, unscored)} (on_unscorable). Mend that and train again, or send "
        f"promotion.on_unscorable 'logged' to compare the logged values of {challenger.metric}"
    )


def _who_failed(champion: Champion, unscored: Unscorable) -> str:
    names = {"champion": f"the champion, version {champion.version},", "challenger": "this model"}
    return f"{names.get(unscored.which, 'the models')} could not be scored on the same data: {unscored.why}"


def _noted(*notes: str) -> str:
    return "".join(f" ({note})" for note in notes if note)
