"""Says on which probation a proposed model is to be, in numbers that outlive the job."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mypackage.gate.decision import Challenger
from mypackage.gate.rules import LOWER, Rules
from shared.jobs.observations import FACT, Probation
from shared.jobs.promotions import CHAMPION
from shared.requests.parts import Probation as Asked

HOUR_SECONDS = 3600


def probation_fact(asked: Asked | None, alias: str, challenger: Challenger, rules: Rules) -> Mapping[str, Any]:
    """Return what the promotion's facts say about it: nothing without one, or for another alias than champion."""
    if asked is None or alias != CHAMPION:
        return {}
    value = challenger.value if asked.metric in (None, challenger.metric) else None
    probation = Probation(
        seconds=asked.hours * HOUR_SECONDS,
        metric=asked.metric or challenger.metric,
        lower_is_better=rules.lower_is_better if asked.direction is None else asked.direction == LOWER,
        max_worsening=asked.max_worsening,
        reference=value if value is not None and math.isfinite(value) else None,
    )
    return {FACT: asdict(probation)}
