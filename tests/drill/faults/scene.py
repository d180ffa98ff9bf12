"""The kinds of fault, and the schedule that a seed stands for."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.drill.load import Load, Sent
from tests.drill.records import JobRow, Records
from tests.drill.sampling import Sampler
from tests.drill.stack import DrillStack
from tests.support.waiting import wait_until

RARE_EVERY = 20
FIND_SECONDS = 20


@dataclass(frozen=True)
class Scene:
    """What a fault acts on."""

    stack: DrillStack
    load: Load
    records: Records
    sampler: Sampler
    random: random.Random

    def pause(self, least_seconds: float, most_seconds: float) -> None:
        """Let a random time pass."""
        wait(self.random.uniform(least_seconds, most_seconds))

    def find_job(self, state: str, *, queues: Sequence[str] = ()) -> JobRow:
        """A job in that state, on a worker of these queues; more are submitted so that there is one."""
        queue = self.random.choice(list(queues)) if queues else None
        self.load.burst(1, queue=queue)

        def matching() -> list[JobRow]:
            jobs = self.sampler.jobs.values()
            return [job for job in jobs if job.state == state and (queue is None or job.queue == queue)]

        what = f"a job that is {state} on {queue or 'any queue'}, though more are sent all the time"
        return self.random.choice(wait_until(matching, timeout_seconds=FIND_SECONDS, what=what))

    def request_of(self, job: JobRow) -> Sent | None:
        """The request that became this job, if its answer has arrived."""
        return self.load.by_job().get(job.id)


Inject = Callable[[Scene], None]


@dataclass(frozen=True)
class Kind:
    """One kind of fault and its variants. ``rare`` ones take long: one in twenty. ``why_not`` says what is missing."""

    name: str
    variants: Mapping[str, Inject]
    rare: Mapping[str, Inject] = field(default_factory=dict)
    kills_trainings: bool = False
    why_not: str | None = None

    def draw(self, count: int, draw: random.Random) -> list[str]:
        """Names of so many variants: each equally often, in any order."""
        rare = list(self.rare) * (count // RARE_EVERY)
        names = list(self.variants)
        draw.shuffle(names)
        usual = [names[number % len(names)] for number in range(count - len(rare))]
        return usual + rare


@dataclass(frozen=True)
class Planned:
    """One fault of the schedule, with its own seed."""

    kind: Kind
    variant: str
    seed: int

    @property
    def inject(self) -> Inject:
        """What does it."""
        return {**self.kind.variants, **self.kind.rare}[self.variant]


def schedule(kinds: Sequence[Kind], *, faults: int, seed: int) -> list[Planned]:
    """The faults that this seed stands for: as many of each kind as of every other, in any order."""
    draw = random.Random(f"schedule {seed}")  # noqa: S311 - no secret
    possible = [kind for kind in kinds if kind.why_not is None]
    each, more = divmod(faults, len(possible))
    extra = draw.sample([kind.name for kind in possible], more)
    planned = [
        Planned(kind, variant, draw.randrange(2**32))
        for kind in possible
        for variant in kind.draw(each + (kind.name in extra), draw)
    ]
    draw.shuffle(planned)
    return planned


def wait(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)
