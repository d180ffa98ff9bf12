"""What follows from scores of both models on the same data: a comparison in words, and objections. Pure."""

from decimal import Decimal

from .evidence import Evidence, Slice, Unscorable
from .numbers import exact, show, telling_digits
from .rules import Rules

SHOWN_SLICES = 3
ONE_VALUE = "one value of each model, so without an interval"
FEW_DIFFER = "too few examples differ for an interval"


def misses(rules: Rules) -> Unscorable | None:
    """Return why rules cannot be kept by a project that has no way to evaluate a model; None if there are none."""
    asked = [name for name, value in (("min_confidence", rules.min_confidence), ("slices", rules.slices)) if value]
    if not asked:
        return None
    return Unscorable("both", f"{' and '.join(asked)} need an entry point 'evaluate', which the project does not have")


def describe(evidence: Evidence, *, lower_is_better: bool) -> tuple[str, str]:
    """Return the comparison, such as "better by 0.012 [0.004, 0.021] on 450 examples", and the notes to end with."""
    verdict = _difference(evidence.difference, evidence.low, evidence.high)
    examples = "" if evidence.n is None else f" on {evidence.n} examples"
    words = ["lower is better"] if lower_is_better else []
    words.append("the same data now")
    if evidence.low is None:
        words.append(ONE_VALUE if evidence.n is None else FEW_DIFFER)
    return f"{verdict}{examples}", f" ({', '.join([evidence.metric, *words])})"


def objection(evidence: Evidence, rules: Rules) -> str:
    """Say by which rule a better challenger is refused all the same; "" if by none."""
    return _too_little(evidence, rules) or _unsure(evidence, rules) or _worse_slices(evidence, rules)


def _difference(difference: float, low: float | None, high: float | None) -> str:
    if difference == 0:
        return f"no difference{_interval(low, high)}"
    if difference > 0:
        return f"better by {_short(difference)}{_interval(low, high)}"
    turned = (None if high is None else -high, None if low is None else -low)
    return f"worse by {_short(-difference)}{_interval(*turned)}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" [{_short(low)}, {_short(high)}]"


def _short(number: float) -> str:
    return show(number, digits=3)


def _too_little(evidence: Evidence, rules: Rules) -> str:
    if not rules.min_delta or exact(evidence.difference) > exact(rules.min_delta):
        return ""
    return f"more than {show(rules.min_delta)} is asked for (min_delta)"


def _unsure(evidence: Evidence, rules: Rules) -> str:
    """Say that the gain may be a matter of chance."""
    if rules.min_confidence is None:
        return ""
    sure = f"a confidence of {show(rules.min_confidence)}"
    if evidence.low is None and evidence.n is not None:
        return f"{sure} needs more examples on which the models differ (min_confidence)"
    if evidence.low is None:
        return f"{sure} needs a score of each example, and evaluate gave one value a model (min_confidence)"
    if evidence.confidence < rules.min_confidence:
        return f"{sure} is asked for, and its interval is of {show(evidence.confidence)} (min_confidence)"
    if exact(evidence.low) > exact(rules.min_delta):
        return ""
    is_equal = exact(evidence.low) == exact(rules.min_delta)
    least = show(evidence.low, digits=4 if is_equal else telling_digits(evidence.low, rules.min_delta))
    return f"with {sure} by {least} only, and more than {show(rules.min_delta)} is asked for (min_confidence)"


def _worse_slices(evidence: Evidence, rules: Rules) -> str:
    """Say in which slices it became worse than allowed."""
    columns = {each.column for each in evidence.slices}
    if missing := sorted(set(rules.slices) - columns):
        return f"its scores have no column {', '.join(missing)}, or too many values in it, and it is guarded (slices)"
    fallen = [each for each in evidence.slices if each.column in rules.slices and _fell(each, rules)]
    return "; ".join(_fall(each, rules) for each in sorted(fallen, key=lambda each: each.difference)[:SHOWN_SLICES])


def _allowed(each: Slice, rules: Rules) -> Decimal:
    return exact(rules.slices[each.column])


def _fell(each: Slice, rules: Rules) -> bool:
    return exact(each.difference) < -_allowed(each, rules)


def _fall(each: Slice, rules: Rules) -> str:
    verdict = _difference(each.difference, each.low, each.high)
    where = f"where {each.column} is {each.value} ({each.n} examples)"
    return f"{verdict} {where}, {show(_allowed(each, rules))} is allowed (slices)"
