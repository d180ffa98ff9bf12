"""What the drill says: a line for each fault, a table at the end, and everything about a violation."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.drill.faults.scene import Kind, Planned
from tests.drill.records import AttemptRow, JobRow, TransitionRow


@dataclass
class Injected:
    """A fault that was done: when, for how long, and which jobs were under way."""

    planned: Planned
    at_seconds: float
    seconds: float = 0
    hit: set[str] = field(default_factory=set)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def progress(number: int, total: int, done: Injected, open_jobs: int) -> str:
    """The line of one fault."""
    what = f"{done.planned.kind.name}: {done.planned.variant}"
    return f"{done.at_seconds:7.1f} s  {number:>4}/{total}  {what:<44} {done.seconds:5.1f} s  {open_jobs:>3} jobs open"


def ways_of_ending(
    jobs: Mapping[str, JobRow], attempts: Sequence[AttemptRow], transitions: Sequence[TransitionRow]
) -> dict[str, set[str]]:
    """For each job how it ended, and whether it was retried or adopted by another worker."""
    ways = {job.id: {f"failed {job.reason_code}" if job.state == "failed" else job.state} for job in jobs.values()}
    for each in attempts:
        if each.number > 1:
            ways[each.job_id].add("retried")
    for change in transitions:
        if change.reason.startswith("taken over"):
            ways[change.job_id].add("adopted")
    return ways


def table(history: Sequence[Injected], kinds: Sequence[Kind], ways: Mapping[str, set[str]]) -> list[str]:
    """Fault, count, and what became of the jobs that were under way."""
    groups: dict[tuple[str, str], list[Injected]] = defaultdict(list)
    for done in history:
        groups[done.planned.kind.name, done.planned.variant].append(done)
    lines = [f"{'fault':<44} {'count':>5} {'jobs':>5}  outcomes of the jobs that it met"]
    for kind in kinds:
        if kind.why_not:
            lines.append(f"{kind.name:<44} {'-':>5} {'-':>5}  left out on this machine: {kind.why_not}")
        for variant in {**kind.variants, **kind.rare}:
            if found := groups.get((kind.name, variant)):
                hit = set[str]().union(*(done.hit for done in found))
                lines.append(f"{f'{kind.name}: {variant}':<44} {len(found):>5} {len(hit):>5}  {_outcomes(hit, ways)}")
    return lines


def totals(ways: Mapping[str, set[str]]) -> str:
    """What became of all jobs."""
    return f"{len(ways)} jobs: {_outcomes(ways, ways)}"


def _outcomes(jobs: Iterable[str], ways: Mapping[str, set[str]]) -> str:
    counts = Counter(way for job_id in jobs for way in ways.get(job_id, ()))
    return ", ".join(f"{count} {way}" for way, count in counts.most_common())
