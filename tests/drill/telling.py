"""What Discord was told: each event of each attempt, in order, and again only where its sender was ended."""

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from shared.alerts.model import AlertEvent
from tests.drill.invariants import Outcome
from tests.drill.records import TransitionRow
from tests.drill.sampling import Violation
from tests.drill.stack import NOBODY_S
from worker.alerts.content import TITLES

FOOTER = re.compile(r"job (\S+), attempt (\d+)")
EVENTS = {
    "running": AlertEvent.STARTED,
    "retry_wait": AlertEvent.RETRYING,
    **{event.value: event for event in (AlertEvent.SUCCEEDED, AlertEvent.FAILED, AlertEvent.CANCELLED)},
}

Told = dict[str, list[tuple[AlertEvent, int]]]


def all_was_told(outcome: Outcome, messages: Sequence[dict[str, Any]], *, endings: int) -> list[Violation]:
    """Compare the messages with the changes; ``endings``: of workers, each of which may cost one repeat."""
    told_of = {job.id for job in outcome.jobs.values() if job.queue != NOBODY_S}
    told, wanted = _read(messages), _wanted(outcome.transitions, told_of)
    found = []
    for job_id in told.keys() | wanted.keys():
        once = list(dict.fromkeys(told[job_id]))
        if once != wanted[job_id]:
            found.append(Violation(f"Discord was told {told[job_id]}, and not {wanted[job_id]}", job_id))
    repeats = sum(len(each) - len(set(each)) for each in told.values())
    if repeats > endings:
        found.append(Violation(f"Discord was told {repeats} things again, with {endings} ends of workers"))
    return found


def _read(messages: Sequence[dict[str, Any]]) -> Told:
    told: Told = defaultdict(list)
    for message in messages:
        [embed] = message["embeds"]
        if embed["footer"]["text"].startswith("promotion "):  # about a model: what it tells is no change of a job
            continue
        event = next(each for each, title in TITLES.items() if embed["title"].endswith(f": {title}"))
        footer = FOOTER.fullmatch(embed["footer"]["text"])
        assert footer is not None
        told[footer[1]].append((event, int(footer[2])))
    return told


def _wanted(transitions: Sequence[TransitionRow], told_of: Collection[str]) -> Told:
    """A takeover is noted as a change without one. Of what triggers made, nothing is told: they ask for that."""
    wanted: Told = defaultdict(list)
    for each in transitions:
        is_told = each.job_id in told_of and each.to_state in EVENTS
        if is_told and each.from_state != each.to_state:
            wanted[each.job_id].append((EVENTS[each.to_state], each.attempt))
    return wanted
