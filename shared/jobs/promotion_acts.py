"""Says which lines of a model's history the audit has, and who did what they tell."""

from shared.access.acts import Act, act_of_service, current_act
from shared.access.callers import GATE
from shared.jobs.promotions import Event, HistoryLine, Kind

ANSWERS = (Event.APPROVED, Event.REJECTED)
ASKED = (Kind.TRAINING, Kind.ROLLBACK)  # what a person's request decides; the rest, the service does on the way


def act_of_line(line: HistoryLine) -> Act | None:
    """Return the act: the service's own if it moved an alias, a person's word about one; None for all else."""
    if line.event is Event.MOVED and line.kind is not Kind.FOREIGN:
        return act_of_service(GATE, "moveAlias")
    is_asked = line.event in ANSWERS or (line.event is Event.DECIDED and line.kind in ASKED)
    return current_act() if is_asked else None


def told_of_line(line: HistoryLine) -> str:
    """Return what the audit says of it."""
    moved = f"version {line.version or 'none'} as {line.alias}"
    match line.event:
        case Event.MOVED:
            return f"{moved}, before {line.before or 'none'} ({line.kind})"
        case _:
            return f"{moved}: {line.event}"
