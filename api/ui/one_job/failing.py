"""Explains why a job failed, beyond the message: what its code means, what to do, and who must act."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.failures.codes import Code, FailureType

WHO_ACTS: Mapping[FailureType, str] = {
    FailureType.USER_ERROR: "The project, its parameters or its code is wrong: whoever sent the request can mend it.",
    FailureType.INFRASTRUCTURE: "Something around the project failed. Another attempt may work.",
    FailureType.TIMEOUT: "A step took longer than it may.",
    FailureType.CANCELLED: "Somebody cancelled it.",
    FailureType.INTERNAL: "The service itself failed.",
}


@dataclass(frozen=True)
class Explanation:
    """What a code means; empty where only a newer version knows."""

    meaning: str = ""
    advice: str = ""
    who_acts: str = ""


def explain(reason: Mapping[str, Any] | None) -> Explanation:
    """Return the explanation of a reason, as in the API's answer."""
    code, kind = (reason or {}).get("code"), (reason or {}).get("type")
    known = Code.__members__.get(str(code))
    who = next((text for each, text in WHO_ACTS.items() if each == kind), "")
    if known is None:
        return Explanation(who_acts=who)
    meaning = known.meaning.replace("`", "")
    return Explanation(meaning[:1].upper() + meaning[1:], known.advice, who)
