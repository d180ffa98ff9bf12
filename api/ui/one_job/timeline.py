"""Makes a timeline of a job's transitions: what it did from when to when, and a bar of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from api.ui.durations import in_words, seconds_between
from shared.jobs.model import TERMINAL, JobState

WIDTH = 1000.0  # of the bar
LEAST = 6.0  # of a phase in it, so that a short one is seen
NAMES: Mapping[str, str] = {
    JobState.QUEUED: "Waited for its turn",
    JobState.STARTING: "Source, image and container",
    JobState.RUNNING: "Trained",
    JobState.RETRY_WAIT: "Waited for another attempt",
    JobState.CANCELLING: "Stopped",
}
NOW_NAMES: Mapping[str, str] = {
    JobState.QUEUED: "Waits for its turn",
    JobState.STARTING: "Source, image and container",
    JobState.RUNNING: "Trains",
    JobState.RETRY_WAIT: "Waits for another attempt",
    JobState.CANCELLING: "Is being stopped",
}


@dataclass(frozen=True)
class Phase:
    """A time in one state. ``ends`` is None for the present one; ``x`` and ``width`` are its place in the bar."""

    state: str
    name: str
    begins: str
    ends: str | None
    attempt: int
    why: str
    seconds: float
    x: float = 0.0
    width: float = 0.0

    @property
    def took(self) -> str:
        """How long it was, in words."""
        return in_words(self.seconds)


@dataclass(frozen=True)
class Timeline:
    """All phases in their order, and how the job ended: None while it goes on."""

    phases: tuple[Phase, ...]
    end: Mapping[str, Any] | None

    @property
    def took(self) -> str:
        """How long all of it was, in words."""
        return in_words(sum(phase.seconds for phase in self.phases))

    @property
    def in_words(self) -> str:
        """The bar as a sentence, for who does not see it."""
        return "; ".join(f"{each.name}: {each.took}" for each in self.phases)


def timeline(transitions: Sequence[Mapping[str, Any]], now: str) -> Timeline:
    """Return the timeline until ``now`` or until the job's end."""
    is_over = bool(transitions) and transitions[-1]["to"] in TERMINAL
    pairs = [*pairwise(transitions)]
    phases = [_phase(begun, until["at"]) for begun, until in pairs]
    if transitions and not is_over:
        phases.append(_phase(transitions[-1], None, now))
    return Timeline(_placed(phases), transitions[-1] if is_over else None)


def _phase(begun: Mapping[str, Any], ends: str | None, now: str = "") -> Phase:
    state = begun["to"]
    names = NAMES if ends else NOW_NAMES
    return Phase(
        state=state,
        name=names.get(state, state.replace("_", " ")),
        begins=begun["at"],
        ends=ends,
        attempt=begun["attempt"],
        why=begun["reason"],
        seconds=seconds_between(begun["at"], ends or now),
    )


def _placed(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    whole = sum(phase.seconds for phase in phases) or 1.0
    room = max(0.0, WIDTH - LEAST * len(phases))
    placed, x = [], 0.0
    for phase in phases:
        width = LEAST + room * phase.seconds / whole
        placed.append(Phase(**{**vars(phase), "x": round(x, 1), "width": round(width, 1)}))
        x += width
    return tuple(placed)
