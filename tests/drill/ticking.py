"""Triggers that tick while everything breaks: each tick has one row, each firing one job, each of their jobs its row.

Their jobs are for a queue that nobody serves, and end there at once: what is looked at is how they came to be.
"""

import random
import re
import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.drill.load import Load
from tests.drill.records import Records, TriggerEventRow, TriggerRow
from tests.drill.sampling import Violation
from tests.drill.stack import NOBODY_S, DrillStack

FEW, MANY, MANY_FAULTS = 6, 200, 100
SECONDS, MANY_SECONDS = 10, 120  # between two ticks; as many seconds again are spread over the many
POLICIES = ({"if_running": "queue"}, {"if_running": "cancel_older"}, {"if_running": "skip", "catch_up": "once"})
BY_HAND_SECONDS = 4.0
LATE_SECONDS = 60  # that the last tick may be behind the end: a worker had to start
MORE = re.compile(r"nor at the (\d+) times before it")


@dataclass
class Ticking:
    """The triggers of one drill, and a client that fires them by hand."""

    stack: DrillStack
    load: Load
    records: Records
    faults: int
    fired_by_hand: dict[str, set[str]] = field(default_factory=dict)  # ids of jobs by idempotency key
    fired_at_pause: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        is_many = self.faults >= MANY_FAULTS
        self._seconds = {
            f"tick-{number}": MANY_SECONDS + number % MANY_SECONDS if is_many else SECONDS
            for number in range(MANY if is_many else FEW)
        }
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._fire, name="by hand")

    def start(self) -> None:
        """Make the triggers, and begin to fire them."""
        for number, (name, seconds) in enumerate(self._seconds.items()):
            body = {
                "name": name,
                "when": {"every": seconds},
                "policy": POLICIES[number % len(POLICIES)],
                "template": {
                    "experiment_name": "drill-ticks",
                    "git_uri": self.stack.repository.uri,
                    "queue": NOBODY_S,
                    "timeouts": {"queue_seconds": 1.0},
                    "alerts": {"to": []},
                },
            }
            self.load.until_told("/triggers", body, {}, {201, 409})  # 409: an answer was lost
        self._thread.start()

    def end(self) -> None:
        """Fire no more, and let no trigger fire."""
        self.stop()
        self.load.until_told("/triggers/pause", {"reason": "the drill is over"}, {}, {200})
        self.fired_at_pause = {each.job_id for each in self.records.trigger_events() if each.job_id}
        for job in (self.records.find_jobs() or {}).values():  # the clock was ahead when it was to end in a second
            if job.queue == NOBODY_S and not job.is_terminal:
                self.load.until_told(f"/jobs/{job.id}/cancel", {}, {}, {202, 409})

    def stop(self) -> None:
        """End the thread; stopping twice is no error."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self, jobs: Mapping[str, str | None], now: datetime) -> list[Violation]:
        """Say what is wrong; ``jobs`` are all, with the name of the trigger that made each."""
        triggers, events = self.records.triggers(), self.records.trigger_events()
        found = [Violation(f"{name} is missing") for name in self._seconds.keys() - {each.name for each in triggers}]
        for trigger in triggers:
            mine = [each for each in events if each.trigger_id == trigger.id]
            found += [Violation(f"{trigger.name}: {what}") for what in ticks_are_whole(trigger, mine, now)]
        names = {trigger.id: trigger.name for trigger in triggers}
        found += firings_and_jobs_agree(names, events, {job: name for job, name in jobs.items() if name})
        for key, made in self.fired_by_hand.items():
            if len(made) != 1:
                found.append(Violation(f"fired by hand with the key {key}: {len(made)} jobs: {made}"))
        if late := {each.job_id for each in events if each.job_id} - self.fired_at_pause:
            found.append(Violation(f"fired after all triggers were paused: {late}"))
        return found

    def summary(self) -> str:
        """What became of all ticks."""
        counts = Counter(each.outcome for each in self.records.trigger_events())
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        return f"{len(self._seconds)} triggers, {len(self.fired_by_hand)} firings by hand: {told}"

    def _fire(self) -> None:
        draw = random.Random("by hand")  # noqa: S311 - no secret
        while not self._stopping.wait(draw.uniform(0, BY_HAND_SECONDS)):
            key, name = uuid.uuid4().hex, draw.choice(list(self._seconds))
            made = self.fired_by_hand.setdefault(key, set())
            for _ in range(draw.randint(1, 2)):
                answer = self.load.until_told(f"/triggers/{name}/fire", {}, {"Idempotency-Key": key}, {202})
                if answer is not None:
                    made.add(answer.json()["id"])


def ticks_are_whole(trigger: TriggerRow, events: Sequence[TriggerEventRow], now: datetime) -> list[str]:
    """Each tick until the last has one row, or is one of those that a row of a missed tick counts."""
    rows = [each for each in events if each.key and each.key.startswith("tick ")]
    found = [f"{count} rows of {key}" for key, count in Counter(each.key for each in rows).items() if count > 1]
    told: set[int] = set()
    for each in rows:
        number = round((each.at - trigger.created_at).total_seconds() / trigger.every)
        before = MORE.search(each.reason)
        told |= set(range(number - (int(before[1]) if before else 0), number + 1))
    due = int((now - trigger.created_at - timedelta(seconds=LATE_SECONDS)).total_seconds() // trigger.every)
    missing = sorted(set(range(1, max(due, *told, 0) + 1)) - told) if told else list(range(1, due + 1))
    if missing:
        found.append(f"no row of the ticks {missing[:20]}, of those every {trigger.every} s from {trigger.created_at}")
    return found


def firings_and_jobs_agree(
    names: Mapping[str, str], events: Sequence[TriggerEventRow], jobs: Mapping[str, str]
) -> list[Violation]:
    """Each firing has one job, of its trigger; each job of a trigger has one firing; nothing else has a job."""
    found, fired = [], Counter(each.job_id for each in events if each.job_id)
    for each in events:
        if (each.outcome == "fired") != (each.job_id is not None):
            found.append(Violation(f"{each} with the job {each.job_id}"))
        if each.job_id is not None and jobs.get(each.job_id) != names.get(each.trigger_id):
            found.append(Violation(f"{each} has no job of its own", each.job_id))
    found += [Violation(f"{name}'s job has {fired[job]} firings", job) for job, name in jobs.items() if fired[job] != 1]
    return found
