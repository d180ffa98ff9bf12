"""A backtest says what a worker on a sped-up clock then does: the same firings, skips and waits, at the same times."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.jobs.triggers import NewTrigger, Occurrence, Outcome
from shared.scheduling.limits import Limits
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.settings import Settings
from shared.sql import SqlStore
from shared.triggers.backtest import Backtested, Change, Past, backtest
from shared.triggers.fields import Policy, When, Window
from shared.triggers.policy import DAYS
from tests.fakes.queue import RecordingQueue
from tests.fakes.source import FakeSource
from tests.fakes.tracking import FakeTracking
from tests.support.clocks import HeldClock
from tests.support.jobs import claim
from tests.support.length import rounds
from tests.support.triggers import REQUEST
from worker.credentials.keys import Keyring
from worker.interruption import NEVER, Interruption
from worker.source.checkout import SourceRequest
from worker.triggers.looking import TriggerLooking
from worker.triggers.seam import Around

NAME = "nightly"
BEGIN = datetime(2026, 10, 22, 11, 7, 3, 250000, tzinfo=UTC)  # clocks change in Berlin three days later
HOUR = timedelta(hours=1)
KINDS = {
    "cron": ["7 */2 * * *", "30 2 * * *", "*/45 8-18 * * mon-fri", "0 0,6,12 * * *"],
    "every": [1800, 3600, 5400, 21600],
}


@dataclass
class Scenario:
    """What happens, and what a job takes."""

    when: When
    policy: Policy
    days: int
    job_seconds: float
    pushes: list[Occurrence] = field(default_factory=list)
    commits: list[Change] = field(default_factory=list)

    @property
    def past(self) -> Past:
        until = BEGIN + timedelta(days=self.days)
        known = {"occurrences": self.pushes, "code": self.commits, "job_seconds": self.job_seconds, "gpus": 2}
        return Past(since=BEGIN, until=until, **known)  # type: ignore[arg-type]


def scenario(seed: int) -> Scenario:
    drawn = random.Random(seed)  # noqa: S311
    zone = drawn.choice(["UTC", "Europe/Berlin", "America/New_York"])
    kind = ["cron", "every", "git"][seed % 3]
    when = {
        "cron": lambda: When(cron=drawn.choice(KINDS["cron"]), time_zone=zone),  # type: ignore[arg-type]
        "every": lambda: When(every=drawn.choice(KINDS["every"])),  # type: ignore[arg-type]
        "git": lambda: When.model_validate({"git": {"repository": "github.com/user/iris"}}),
    }[kind]()
    begins, ends = drawn.sample(range(24), 2)
    window = Window(
        hours=drawn.choice([None, f"{begins:02}:00-{ends:02}:30"]),
        days=drawn.choice([None, frozenset(drawn.sample(DAYS, 4))]),
    )
    policy = Policy(
        cooldown=drawn.choice([0, 0, 1800, 7200.5]),
        skip_if_same_inputs=drawn.random() < 0.4,
        if_running=drawn.choice([None, "skip", "queue", "cancel_older"]),
        window=drawn.choice([None, window]),
        max_per_day=drawn.choice([None, None, 1, 3]),
        time_zone=zone,
        jitter=drawn.choice([0, 0, 600, 7200]),
    )
    days = drawn.randint(4, 7)
    times = sorted(BEGIN + HOUR * drawn.uniform(0.1, 24 * days) for _ in range(drawn.randint(10, 60)))
    pushes = [Occurrence(f"push {n}", at, drawn.choice(["main", "next"])) for n, at in enumerate(times)]
    commits = [Change(BEGIN, "0" * 40)] + [
        Change(BEGIN + HOUR * 7 * n, f"{drawn.randint(0, 3):040}") for n in range(1, days * 3)
    ]
    return Scenario(when, policy, days, drawn.choice([60, 1500, 5000, 30000]), pushes if kind == "git" else [], commits)


class MovingSource(FakeSource):
    """A repository whose branch moves as time goes by."""

    def __init__(self, folder: Path, clock: HeldClock, commits: Sequence[Change]) -> None:
        super().__init__(folder)
        self.clock, self.commits = clock, commits

    def find_tip(self, request: SourceRequest, *, timeout_seconds: float, interruption: Interruption = NEVER) -> str:
        """The commit of the time that it is."""
        return [change.revision for change in self.commits if change.at <= self.clock.now][-1]


class Live:
    """A service on a clock that jumps from one thing that happens to the next."""

    def __init__(self, url: str, folder: Path, given: Scenario) -> None:
        self.clock, self.queue, self.given = HeldClock(), RecordingQueue(), given
        self.clock.now = BEGIN
        self.store = SqlStore(url, limits=Limits(per_key=10_000), clock=self.clock)  # _begin_jobs says which one runs
        around = Around(
            settings=Settings.load(_env_file=None, data_dir=folder),
            store=self.store,
            source=MovingSource(folder, self.clock, given.commits),
            tracking=FakeTracking(),
            interruption=NEVER,
        )
        self.looking = TriggerLooking(around, self.queue, Keyring(Vault(Fernet.generate_key())), Redactor())
        self.pushes = list(given.pushes)
        self.ends: dict[str, datetime] = {}
        when, policy = given.when, given.policy
        told, ruled = when.model_dump(mode="json"), policy.model_dump(mode="json")
        self.store.create_trigger(NewTrigger(name=NAME, template=REQUEST, kind=when.kind, when=told, policy=ruled))

    def run(self) -> None:
        until = BEGIN + timedelta(days=self.given.days)
        while (at := min(self._times(), default=until + HOUR)) <= until:
            self.clock.now = max(at, self.clock.now)
            self._end_jobs()
            while self.pushes and self.pushes[0].at <= self.clock.now:
                self.store.report(NAME, self.pushes.pop(0))
            while self.looking.once():
                pass
            self._begin_jobs()

    def _times(self) -> Iterator[datetime]:
        look_at = self.store.get_trigger(NAME).look_at
        yield from (each for each in (look_at,) if each is not None)
        yield from (push.at for push in self.pushes[:1])
        yield from self.ends.values()

    def _end_jobs(self) -> None:
        for job_id, at in [*self.ends.items()]:
            if at <= self.clock.now:
                self.store.finish(claim(self.store, job_id), Ending(JobState.SUCCEEDED))
                del self.ends[job_id]

    def _begin_jobs(self) -> None:
        if self.queue.sent and self.given.policy.if_running == "cancel_older":
            gone = [job_id for job_id in self.ends if self.store.get(job_id).state is JobState.CANCELLED]
            self.ends = {job_id: at for job_id, at in self.ends.items() if job_id not in gone}
        for job_id in sorted(self.queue.sent):  # of those of one moment, the store lets the first id go first
            if self.store.get(job_id).state is JobState.CANCELLED:  # by one that fired in the same moment
                continue
            begins = max([self.clock.now, *self.ends.values()])
            self.ends[job_id] = begins + timedelta(seconds=self.given.job_seconds)
        self.queue.sent.clear()


def told(reason: str) -> str:
    """The reason without what names a job."""
    return re.sub(r"job .*", "job", reason)


@pytest.mark.parametrize("seed", range(rounds(9, long=200)))
def test_a_worker_then_does_what_the_backtest_said(seed: int, sqlite_url: str, tmp_path: Path) -> None:
    given = scenario(seed)
    expected: Backtested = backtest(NAME, given.when, given.policy, given.past)
    live = Live(sqlite_url, tmp_path, given)
    live.run()
    events = live.store.trigger_events(NAME, limit=10_000)
    live.store.close()
    for outcome in (Outcome.FIRED, Outcome.SKIPPED):
        got = sorted((event.last_at, told(event.reason)) for event in events if event.outcome is outcome)
        marks = [mark for mark in expected.timeline if mark.outcome is outcome]
        assert [at for at, _ in got] == [mark.at for mark in marks], outcome
        if outcome is Outcome.SKIPPED:
            assert sorted(why for _, why in got) == sorted(told(mark.reason) for mark in marks)
    counts = {outcome: sum(event.outcome is outcome for event in events) for outcome in Outcome}
    assert counts[Outcome.FIRED] == expected.jobs
    assert counts[Outcome.SUPERSEDED] == expected.superseded
    assert counts[Outcome.WAITING] == expected.still_waiting
    assert (
        sum(counts.values())
        == counts[Outcome.FIRED] + counts[Outcome.SKIPPED] + expected.superseded + expected.still_waiting
    )


def test_the_scenarios_meet_every_rule() -> None:
    done = [backtest(NAME, each.when, each.policy, each.past) for each in map(scenario, range(rounds(9, long=200)))]
    rules = {rule for each in done for rule in (*each.skipped, *each.waited)}
    assert rules == {"cooldown", "window", "max_per_day", "jitter", "skip_if_same_inputs", "if_running"}
    assert any(each.cancelled for each in done)
    assert any(each.superseded for each in done)
