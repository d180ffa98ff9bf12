"""Reads the numbers and rules that a recorded decision was made from, whichever version recorded them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mypackage.gate.decision import Challenger, Champion, Decision, decide
from mypackage.gate.evidence import Evidence, Slice, Unscorable
from mypackage.gate.rules import Guardrail, Rules


@dataclass(frozen=True)
class Facts:
    """What `decide` takes."""

    challenger: Challenger
    champion: Champion | None
    rules: Rules
    evidence: Evidence | Unscorable | None = None

    def decide(self) -> Decision:
        """Decide again."""
        return decide(self.challenger, self.champion, self.rules, self.evidence)


def read_facts(recorded: Mapping[str, Any]) -> Facts:
    """Return the facts; raise ValueError if something is missing. What a later version added is left out."""
    try:
        champion = recorded["champion"]
        return Facts(
            Challenger(**_with_numbers(Challenger, recorded["challenger"])),
            Champion(**_with_numbers(Champion, champion)) if champion is not None else None,
            _rules(recorded["rules"]),
            _evidence(recorded),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("its numbers and rules are not recorded") from error


def _with_numbers(kind: type, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields; JSON has NaN and infinity by their names."""
    metrics = {name: float(value) for name, value in said.get("metrics", {}).items()}
    value = said["value"]
    return {**_known(kind, said), "metrics": metrics, "value": float(value) if value is not None else None}


def _rules(said: Mapping[str, Any]) -> Rules:
    rails = tuple(Guardrail(**_known(Guardrail, each)) for each in said.get("guardrails", ()))
    return Rules(**{**_known(Rules, said), "guardrails": rails})


def _evidence(recorded: Mapping[str, Any]) -> Evidence | Unscorable | None:
    if (failed := recorded.get("unscorable")) is not None:
        return Unscorable(**_known(Unscorable, failed))
    if (scores := recorded.get("evidence")) is None:
        return None
    slices = tuple(Slice(**_known(Slice, each)) for each in scores.get("slices", ()))
    return Evidence(**{**_known(Evidence, scores), "slices": slices})


def _known(kind: type, said: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in said.items() if name in names}
