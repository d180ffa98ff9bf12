"""The rules of the gate: those of train.py, overridden by the request's ``promotion``. No I/O."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..protocol import PROMOTION_VARIABLE

LOWER, HIGHER = "lower_is_better", "higher_is_better"
MOST_GUARDRAILS = 10  # the whole decision is one tag, and MLflow cuts a long one
FIELDS = ("metric", "direction", "min_delta", "min_value", "guardrails", "guardrail_directions")
# What the service alone decides by. A training never gets these: older copies of this module refuse what is not above.
SERVICE_FIELDS = ("min_confidence", "slices", "on_unscorable", "different_data")
REFUSE, LOGGED, NOTE = "refuse", "logged", "note"


@dataclass(frozen=True)
class Guardrail:
    """Another metric, and by how much it may become worse than the champion's."""

    metric: str
    allowed: float
    lower_is_better: bool

    def __post_init__(self) -> None:
        _require(self.allowed, f"guardrails: what is allowed of '{self.metric}'", least=0.0)


@dataclass(frozen=True)
class Rules:
    """How a challenger is judged. ``min_value`` is the worst value that is promoted: a maximum if lower is better.

    The rest is for models that the service scores on the same data: with ``min_confidence``, chance must not explain
    the gain; ``slices`` says by how much it may be worse where a column has one value; ``on_unscorable``, what happens
    if that fails; ``different_data``, what happens if logged values are known to be of different data.
    """

    lower_is_better: bool
    min_delta: float = 0.0
    min_value: float | None = None
    guardrails: tuple[Guardrail, ...] = ()
    min_confidence: float | None = None
    slices: Mapping[str, float] = field(default_factory=dict)
    on_unscorable: str = REFUSE
    different_data: str = REFUSE

    def __post_init__(self) -> None:
        _require(self.min_delta, "min_delta", least=0.0)
        if self.min_value is not None:
            _require(self.min_value, "min_value")
        if len(self.guardrails) > MOST_GUARDRAILS:
            raise ValueError(f"There are {len(self.guardrails)} guardrails; {MOST_GUARDRAILS} are the most.")
        _require_confidence(self.min_confidence)
        for column, allowed in self.slices.items():
            _require(allowed, f"slices: what is allowed of '{column}'", least=0.0)
        _require_word(self.on_unscorable, "on_unscorable", (REFUSE, LOGGED))
        _require_word(self.different_data, "different_data", (REFUSE, NOTE))


def read_promotion(text: str) -> dict[str, Any]:
    """Return the request's rules as the service passes them on; raise ValueError if the text is anything else."""
    try:
        wishes = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise ValueError(f"{PROMOTION_VARIABLE} is not JSON: {error}") from None
    if not isinstance(wishes, dict):
        raise ValueError(f"{PROMOTION_VARIABLE} must be a JSON object with any of: {', '.join(FIELDS)}.")
    if unknown := sorted(set(wishes) - set(FIELDS)):
        raise ValueError(
            f"{PROMOTION_VARIABLE} has {', '.join(unknown)}, which this mypackage does not know: it is older than the "
            "service. Take the service's own."
        )
    return {name: value for name, value in wishes.items() if value is not None}


def rules_of(wishes: Mapping[str, Any], *, lower_is_better: bool) -> Rules:
    """Build the rules from the fields sent; a guardrail without its own direction uses that of the metric."""
    lower_is_better = _is_lower(wishes["direction"]) if "direction" in wishes else lower_is_better
    directions = {name: _is_lower(text) for name, text in wishes.get("guardrail_directions", {}).items()}
    if strangers := sorted(set(directions) - set(wishes.get("guardrails", {}))):
        raise ValueError(f"guardrail_directions names {', '.join(strangers)}, which guardrails does not.")
    guardrails = (
        Guardrail(name, allowed, directions.get(name, lower_is_better))
        for name, allowed in wishes.get("guardrails", {}).items()
    )
    return Rules(
        lower_is_better,
        wishes.get("min_delta", 0.0),
        wishes.get("min_value"),
        tuple(guardrails),
        **{name: wishes[name] for name in SERVICE_FIELDS if wishes.get(name) is not None},
    )


def merged(from_code: Mapping[str, Any], from_request: Mapping[str, Any]) -> dict[str, Any]:
    """Merge both; the request wins, because it is about this training. Guardrails are replaced one by one."""
    given = {name: value for name, value in from_code.items() if value is not None}
    for name, value in from_request.items():
        given[name] = {**given.get(name, {}), **value} if isinstance(value, Mapping) else value
    return given


def direction(lower_is_better: bool) -> str:
    """Return the word for a direction."""
    return LOWER if lower_is_better else HIGHER


def _is_lower(text: object) -> bool:
    if text not in (LOWER, HIGHER):
        raise ValueError(f"A direction is {text!r}; it must be '{HIGHER}' or '{LOWER}'.")
    return text == LOWER


def _require(value: object, name: str, *, least: float = -math.inf) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not (number and value >= least):  # type: ignore[operator]
        raise ValueError(f"{name} is {value!r}; it must be a number{' that is not negative' if least == 0 else ''}.")


def _require_confidence(value: object) -> None:
    if value is None:
        return
    if not (isinstance(value, float) and 0.5 <= value < 1):
        raise ValueError(f"min_confidence is {value!r}; it must be a number from 0.5 to less than 1, such as 0.95.")


def _require_word(value: object, name: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise ValueError(f"{name} is {value!r}; it must be '{words[0]}' or '{words[1]}'.")
