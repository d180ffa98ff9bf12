"""Makes recorded decisions again, under other rules. Each meets the champion that it met then: no chain is simulated.

What a record does not hold is said, and never guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from api.recorded_facts import Facts, read_facts
from mypackage.gate.decision import Challenger, Champion, Decision
from mypackage.gate.evidence import Evidence
from mypackage.gate.rules import Rules, direction, merged, rules_of
from mypackage.gate.scored import misses
from shared.jobs.promotions import MOST_OTHER_METRICS, Promotion

HELD = f"the metrics of its own rules and, of each model, {MOST_OTHER_METRICS} others at most"
SAME_NAME = [each.name for each in fields(Rules) if each.name not in ("lower_is_better", "guardrails")]


class Outcome(StrEnum):
    """What the other rules make of a recorded decision."""

    SAME = "same"
    WOULD_PROMOTE = "would_promote"
    WOULD_REFUSE = "would_refuse"
    UNKNOWN = "unknown"  # the record does not say enough


@dataclass(frozen=True)
class Replayed:
    """A recorded decision, and what became of it: ``now`` is the reason under the other rules, or why there is none."""

    promotion: Promotion
    champion: str | None  # the version that it met
    outcome: Outcome
    now: str


class _Missing(Exception):
    """The record does not hold what the other rules ask about."""


def replay(decisions: Iterable[Promotion], rules: Mapping[str, Any]) -> Sequence[Replayed]:
    """Return each decision under the recorded rules with these laid over, as a request's are over train.py's."""
    return [_replay(each, rules) for each in decisions]


def _replay(promotion: Promotion, rules: Mapping[str, Any]) -> Replayed:
    version: str | None = None
    try:
        facts = read_facts(promotion.facts)
        version = facts.champion.version if facts.champion else None
        _require_reproducible(promotion, facts)
        now = _under(facts, rules).decide()
    except (_Missing, ValueError) as error:
        return Replayed(promotion, version, Outcome.UNKNOWN, str(error))
    return Replayed(promotion, version, _outcome(promotion, now), now.reason)


def _outcome(promotion: Promotion, now: Decision) -> Outcome:
    if now.promoted == promotion.decision["promoted"]:
        return Outcome.SAME
    return Outcome.WOULD_PROMOTE if now.promoted else Outcome.WOULD_REFUSE


def _require_reproducible(promotion: Promotion, facts: Facts) -> None:
    """Raise unless the recorded rules explain the recorded decision: a run of another job is refused by no rule."""
    was = promotion.decision.get("promoted")
    if was is None:
        raise _Missing("its decision is not recorded")
    if facts.decide().promoted != was:
        raise _Missing("it was not decided by its rules alone")


def _under(facts: Facts, given: Mapping[str, Any]) -> Facts:
    """Return the facts with these rules laid over the recorded ones; raise _Missing if they do not suffice."""
    rules = rules_of(merged(_as_wishes(facts.rules), given), lower_is_better=facts.rules.lower_is_better)
    metric = str(given.get("metric") or facts.challenger.metric)
    _require_metrics(facts, _asked_first(facts, rules, metric))
    _require_scores(facts, rules, metric)
    if metric == facts.challenger.metric:
        return replace(facts, rules=rules)
    ours, theirs = facts.challenger, facts.champion
    return Facts(
        replace(ours, metric=metric, value=ours.metrics[metric]),
        replace(theirs, value=theirs.metrics[metric], unknown_because="") if theirs else None,
        rules,
        facts.evidence,
    )


def _as_wishes(rules: Rules) -> dict[str, Any]:
    """Return the rules in the form in which they are asked for, without what asks for nothing."""
    named = {name: getattr(rules, name) for name in SAME_NAME}
    return {
        **{name: value for name, value in named.items() if value is not None},
        "direction": direction(rules.lower_is_better),
        "guardrails": {rail.metric: rail.allowed for rail in rules.guardrails},
        "guardrail_directions": {rail.metric: direction(rail.lower_is_better) for rail in rules.guardrails},
    }


def _asked_first(facts: Facts, rules: Rules, metric: str) -> Sequence[str]:
    """Return the metrics about which the recorded rules did not ask."""
    rails = {rail.metric for rail in rules.guardrails} if facts.champion is not None else set()
    asked_then = {facts.challenger.metric, *(rail.metric for rail in facts.rules.guardrails)}
    return sorted({metric, *rails} - asked_then)


def _require_metrics(facts: Facts, names: Iterable[str]) -> None:
    models: list[tuple[str, Challenger | Champion]] = [("this model", facts.challenger)]
    if facts.champion is not None:
        models.append((f"the champion, version {facts.champion.version}", facts.champion))
    for name in names:
        for what, model in models:
            if name not in model.metrics:
                raise _Missing(f"the record has no {name} of {what}; it holds {HELD}")


def _require_scores(facts: Facts, rules: Rules, metric: str) -> None:
    """Raise if other scores of both models would be needed than those that were made then."""
    if facts.champion is None:
        return
    scores = facts.evidence
    if scores is None and misses(rules) and not misses(facts.rules):
        raise _Missing("the record has no scores of both models on the same data")
    if not isinstance(scores, Evidence):
        return
    if metric != scores.metric or rules.lower_is_better != facts.rules.lower_is_better:
        raise _Missing(f"both models were scored by {scores.metric}, as its own rules say")
    if rules.min_confidence not in (None, facts.rules.min_confidence, scores.confidence):
        raise _Missing(f"the interval of its scores is of a confidence of {scores.confidence:g}")
    columns = {each.column for each in scores.slices} | set(facts.rules.slices)
    if strangers := sorted(set(rules.slices) - columns):
        raise _Missing(f"its scores have no column {', '.join(strangers)}")
