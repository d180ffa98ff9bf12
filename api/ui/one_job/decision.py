"""Tells the gate's decision about a job's model in words and rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
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

MOST_ROWS, LONGEST = 100, 1000  # the decision may be what a training of any version wrote into its run
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
    it = f"Version {_text(version)}" if version else "The model"
    headline = HEADLINES.get(str(state), "{it}: {state}.").format(it=it, alias=_text(alias), state=_text(state))
    before = decision.get("champion_version")
    return Told(
        headline=headline,
        reason=_text(decision.get("reason") or ""),
        rows=tuple(islice(_rows(decision), MOST_ROWS)),
        rules=tuple(islice(_rules(decision), MOST_ROWS)),
        promotion_id=_text(decision["id"]) if decision.get("id") else None,
        awaits_approval=state == PromotionState.AWAITING_APPROVAL,
        champion=f"version {_text(before)}" if before else "none before",
    )


def _rows(decision: Mapping[str, Any]) -> Iterator[Row]:
    metric = decision.get("metric")
    if metric:
        better = "lower" if decision.get("direction") == "lower_is_better" else "higher"
        logged = number(decision.get("challenger")), number(decision.get("champion"))
        yield Row(f"{_text(metric)}, as logged ({better} is better)", *logged)
    if evidence := _mapping(decision.get("evidence")):
        yield _scored(f"{evidence.get('metric')}, on the same data", evidence, evidence.get("confidence"))
        for each in map(_mapping, evidence.get("slices") or ()):
            yield _scored(f"{each.get('column')} = {each.get('value')}", each, evidence.get("confidence"))
    for name, rail in _mapping(decision.get("guardrails")).items():
        yield _guarded(name, _mapping(rail))


def _guarded(name: str, rail: Mapping[str, Any]) -> Row:
    verdict = HOLDS.get(str(rail.get("holds")), "")
    allowed = f"{verdict} ({number(rail.get('allowed'))} worse is allowed)".strip()
    return Row(_text(f"{name}, guarded"), number(rail.get("challenger")), number(rail.get("champion")), verdict=allowed)


def _scored(what: str, scores: Mapping[str, Any], confidence: Any) -> Row:
    low, high = scores.get("low"), scores.get("high")
    sure = f" ({number(100 * confidence)} %)" if isinstance(confidence, int | float) else ""
    return Row(
        _text(what),
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
    for column, allowed in _mapping(decision.get("slices")).items():
        yield _text(f"slices.{column}"), f"{number(allowed)} worse is allowed"
    data = _mapping(decision.get("datasets"))
    for name, which in (("evaluated on", "challenger"), ("the champion on", "champion")):
        if data.get(which):
            yield name, _text(data[which])
    if unscorable := _mapping(decision.get("unscorable")):
        yield "not scored on the same data", _text(unscorable.get("why"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def number(value: Any) -> str:
    """Return a number as people read it; a dash for none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NOTHING if value is None else _text(value)
    return f"{value:.6g}"


def _signed(value: Any) -> str:
    return f"{value:+.3g}" if isinstance(value, int | float) else NOTHING
