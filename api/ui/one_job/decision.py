"""Tells the gate's decision about a job's model in words and rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.ui.one_job.asked import NOTHING
from shared.jobs.promotions import CHAMPION, PromotionState

HEADLINES: Mapping[str, str] = {
    PromotionState.PROMOTED: "{it} became {alias}.",
    PromotionState.NOT_PROMOTED: "{it} did not become {alias}.",
    PromotionState.AWAITING_APPROVAL: "{it} is better, and becomes {alias} once a person approves it.",
    PromotionState.MOVING: "{it} is about to become {alias}.",
    PromotionState.REJECTED: "{it} was better, and a person rejected it.",
    PromotionState.EXPIRED: "{it} was better, and nobody approved it in time.",
    PromotionState.OVERTAKEN: "{it} was better, and another version took the alias {alias} first.",
    PromotionState.IMPOSSIBLE: "{it} was better, and MLflow did not let it become {alias}.",
}

HOLDS = {"True": "holds", "False": "broken"}


@dataclass(frozen=True)
class Row:
    """Both models in one respect. ``verdict`` says what follows, where a rule asks for something."""

    what: str
    challenger: str
    champion: str
    difference: str = ""
    interval: str = ""
    examples: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Told:
    """The decision for people."""

    headline: str
    reason: str
    rows: tuple[Row, ...]
    rules: tuple[tuple[str, str], ...]
    promotion_id: str | None
    awaits_approval: bool
    champion: str


def told(decision: Mapping[str, Any] | None) -> Told | None:
    """Return the decision, as in the API's answer, in words; None without one."""
    if not decision:
        return None
    state = decision.get("state") or ("promoted" if decision.get("promoted") else "not_promoted")
    alias, version = decision.get("alias") or CHAMPION, decision.get("model_version")
    it = f"Version {version}" if version else "The model"
    headline = HEADLINES.get(str(state), "{it}: {state}.").format(it=it, alias=alias, state=state)
    before = decision.get("champion_version")
    return Told(
        headline=headline,
        reason=str(decision.get("reason") or ""),
        rows=tuple(_rows(decision)),
        rules=tuple(_rules(decision)),
        promotion_id=decision.get("id"),
        awaits_approval=state == PromotionState.AWAITING_APPROVAL,
        champion=f"version {before}" if before else "none before",
    )


def _rows(decision: Mapping[str, Any]) -> Iterator[Row]:
    metric = decision.get("metric")
    if metric:
        better = "lower" if decision.get("direction") == "lower_is_better" else "higher"
        logged = number(decision.get("challenger")), number(decision.get("champion"))
        yield Row(f"{metric}, as logged ({better} is better)", *logged)
    evidence = decision.get("evidence")
    if isinstance(evidence, Mapping):
        yield _scored(f"{evidence.get('metric')}, on the same data", evidence, evidence.get("confidence"))
        for each in evidence.get("slices") or ():
            yield _scored(f"{each.get('column')} = {each.get('value')}", each, evidence.get("confidence"))
    for name, rail in (decision.get("guardrails") or {}).items():
        if isinstance(rail, Mapping):
            verdict = HOLDS.get(str(rail.get("holds")), "")
            allowed = f"{verdict} ({number(rail.get('allowed'))} worse is allowed)".strip()
            yield Row(f"{name}, guarded", number(rail.get("challenger")), number(rail.get("champion")), verdict=allowed)


def _scored(what: str, scores: Mapping[str, Any], confidence: Any) -> Row:
    low, high = scores.get("low"), scores.get("high")
    sure = f" ({number(100 * confidence)} %)" if isinstance(confidence, int | float) else ""
    return Row(
        what,
        number(scores.get("challenger")),
        number(scores.get("champion")),
        _signed(scores.get("difference")),
        "" if low is None or high is None else f"{_signed(low)} to {_signed(high)}{sure}",
        number(scores.get("n")) if scores.get("n") is not None else "",
    )


def _rules(decision: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield which rules decided, without those that ask for nothing."""
    for name in ("min_delta", "min_value", "min_confidence"):
        if decision.get(name):
            yield name, number(decision[name])
    for column, allowed in (decision.get("slices") or {}).items():
        yield f"slices.{column}", f"{number(allowed)} worse is allowed"
    data = decision.get("datasets") or {}
    for name, which in (("evaluated on", "challenger"), ("the champion on", "champion")):
        if data.get(which):
            yield name, str(data[which])
    unscorable = decision.get("unscorable")
    if isinstance(unscorable, Mapping):
        yield "not scored on the same data", str(unscorable.get("why"))


def number(value: Any) -> str:
    """Return a number as people read it; a dash for none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING if value is None else str(value)
    return f"{value:.6g}"


def _signed(value: Any) -> str:
    return f"{value:+.3g}" if isinstance(value, int | float) else NOTHING
