"""One drill from start to verdict."""

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.drill import invariants, leftovers, models, report, telling
from tests.drill.faults.deciding import deciding_kind
from tests.drill.faults.greedy import greedy_kind
from tests.drill.faults.host import CLOCK, DAEMON, host_kinds
from tests.drill.faults.scene import Kind, Planned, Scene, schedule
from tests.drill.faults.service import service_kinds
from tests.drill.load import Load
from tests.drill.machine import prepared_machine
from tests.drill.records import Records
from tests.drill.report import Injected, say
from tests.drill.sampling import Sampler, Violated, Violation
from tests.drill.stack import DrillStack
from tests.drill.ticking import Ticking
from tests.support.waiting import wait_until

ALL_ENDED_SECONDS = 150
NOTHING_LEFT_SECONDS = 60
ALL_TOLD_SECONDS = 120
POLL_SECONDS = 0.5
HISTORY_LINES = 8


@dataclass
class Drill:
    """A running drill."""

    stack: DrillStack
    kinds: Sequence[Kind]
    planned: Sequence[Planned]
    seed: int
    began: float = field(default_factory=time.monotonic)
    history: list[Injected] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = Records(self.stack.machine.database_url)
        self.champions = models.ChampionWatch()
        self.sampler = Sampler(self.records, self.stack.machine.engine, self._look_at_champions)
        self.load = Load(self.stack, self.seed, open_jobs=self.sampler.open_jobs)
        self.ticking = Ticking(self.stack, self.load, self.records, faults=len(self.planned))

    def run(self) -> list[str]:
        """Inject all faults and return the report; Violated at the first thing that is wrong."""
        self.sampler.start()
        self.load.start()
        self.ticking.start()
        for number, planned in enumerate(self.planned, 1):
            self._inject(planned)
            say(report.progress(number, len(self.planned), self.history[-1], self.sampler.open_jobs()))
            self._check_so_far()
        self.ticking.end()
        self.over_at = datetime.now(UTC)
        self.load.end()
        self._wait_for_ends()
        return self._verdict()

    def close(self) -> None:
        """End all threads."""
        self.load.abandon()
        self.ticking.stop()
        self.sampler.stop()
        self.records.close()

    def _inject(self, planned: Planned) -> None:
        draw = random.Random(planned.seed)  # noqa: S311 - no secret
        scene = Scene(self.stack, self.load, self.records, self.sampler, draw)
        scene.pause(0.3, 1.5)
        injected = Injected(planned, time.monotonic() - self.began)
        self.history.append(injected)
        self.sampler.begin_window()
        try:
            planned.inject(scene)
            self.stack.wait_until_up()
        except Violated as violated:
            raise Violated([*self.sampler.violations, *violated.violations]) from violated
        except AssertionError as error:  # a part did not do what it must within its time
            raise Violated([*self.sampler.violations, Violation(str(error))]) from error
        scene.pause(0.3, 1.0)  # so that what began meanwhile is seen
        injected.hit = self.sampler.seen_in_window()
        injected.seconds = time.monotonic() - self.began - injected.at_seconds

    def _check_so_far(self) -> None:
        died = [Violation(f"{part.name} ended by itself:\n{part.log[-3000:]}") for part in self.stack.died()]
        broken = [Violation(what) for what in self.load.broken]
        _raise_if([*self.sampler.violations, *died, *broken])

    def _wait_for_ends(self) -> None:
        def all_ended() -> bool:
            self._check_so_far()
            return not self.sampler.open_jobs()

        _wait(all_ended, ALL_ENDED_SECONDS)
        _raise_if(invariants.every_accepted_job_ended(self.load, self.records.find_jobs() or {}))

    def _verdict(self) -> list[str]:
        outcome = self._outcome()
        found = [
            *invariants.every_accepted_job_ended(self.load, outcome.jobs),
            *invariants.one_job_for_each_key(self.load, self.records),
            *invariants.ends_as_it_should(outcome),
            *invariants.one_training_for_each_attempt(outcome, self.stack.ledger),
            *invariants.terminal_states_are_final(outcome),
            *(self._replayed(outcome) if self.records.is_sqlite else ()),  # which keeps the order of commits
            *invariants.logs_are_whole(outcome, self.records),
            *self._check_models(outcome),
            *self._check_triggers(),
            *leftovers.runs_agree(outcome, self.stack),
            *self._check_what_was_told(outcome),
            *(Violation(f"left behind: {each}") for each in self._what_is_left(outcome)),
        ]
        self._check_so_far()
        _raise_if(found)
        ways = report.ways_of_ending(outcome.jobs, outcome.attempts, outcome.transitions)
        return [*report.table(self.history, self.kinds, ways), report.totals(ways)]

    def _replayed(self, outcome: invariants.Outcome) -> list[Violation]:
        overtaking = invariants.count_overtaking(outcome)
        say(f"a job was overtaken by at most {max(overtaking.values(), default=0)} that came later")
        return [*invariants.limits_held_at_every_commit(outcome), *invariants.nobody_waits_for_ever(overtaking)]

    def _look_at_champions(self) -> list[Violation]:
        moves, aliases = self.records.find_moves(), models.find_aliases(self._registry)  # in this order
        return [] if moves is None or aliases is None else self.champions.look(moves, aliases)

    def _check_models(self, outcome: invariants.Outcome) -> list[Violation]:
        promotions, moves = self.records.promotions(), self.records.moves()
        aliases = models.read_aliases(self._registry)
        say(f"{len(promotions)} decisions about models, {len(moves)} moves of champions")
        return [
            *models.history_is_one_chain(moves, aliases),
            *models.each_success_was_decided(outcome, promotions),
            *models.the_best_is_champion(outcome, promotions, aliases),
        ]

    def _check_triggers(self) -> list[Violation]:
        say(self.ticking.summary())
        return self.ticking.check(self.records.triggers_of_jobs(), self.over_at)

    @property
    def _registry(self) -> Path:
        return self.stack.mlflow.folder / "mlflow.db"

    def _outcome(self) -> invariants.Outcome:
        jobs = self.records.find_jobs() or {}
        return invariants.Outcome(
            jobs,
            self.records.attempts(),
            self.records.transitions(),
            self.load.by_job(),
            disturbed=self._that_met(lambda kind: kind.kills_trainings),
            unseen=self._that_met(lambda kind: kind.name == DAEMON),
            mistimed=self._that_met(lambda kind: kind.name == CLOCK),
        )

    def _that_met(self, is_meant: Callable[[Kind], bool]) -> frozenset[str]:
        return frozenset().union(*(done.hit for done in self.history if is_meant(done.planned.kind)))

    def _check_what_was_told(self, outcome: invariants.Outcome) -> list[Violation]:
        _wait(lambda: not self.records.has_waiting_alerts(), ALL_TOLD_SECONDS)
        endings = sum(part.starts - 1 for part in self.stack.workers.values())
        return telling.all_was_told(outcome, self.stack.discord.messages, endings=endings)

    def _what_is_left(self, outcome: invariants.Outcome) -> list[str]:
        _wait(lambda: not leftovers.nothing_is_left(outcome, self.stack), NOTHING_LEFT_SECONDS)
        return leftovers.nothing_is_left(outcome, self.stack)

    def explain(self, violations: Sequence[Violation]) -> list[str]:
        """All that helps to understand a violation: the last faults, and the record of each job."""
        lines = [f"VIOLATION: {each.what}" + (f" [job {each.job_id}]" if each.job_id else "") for each in violations]
        for done in self.history[-HISTORY_LINES:]:
            lines.append(f"  fault {_line(done)}")
        for job_id in dict.fromkeys(each.job_id for each in violations if each.job_id):
            lines += self._story(job_id)
        return lines

    def _story(self, job_id: str) -> list[str]:
        met = [_line(injected) for injected in self.history if job_id in injected.hit]
        lines = [f"  job {job_id}", f"    {self.sampler.jobs.get(job_id)}", f"    {self.load.by_job().get(job_id)}"]
        lines += [f"    met: {each}" for each in met]
        lines += [f"    {each}" for each in self.records.attempts() if each.job_id == job_id]
        return lines + [f"    {each}" for each in self.records.transitions() if each.job_id == job_id]


def run_drill(folder: Path, *, faults: int, seed: int, store: str, only: Sequence[str]) -> int:
    """Run a drill in the folder; the exit code."""
    with ExitStack() as at_end:
        machine = at_end.enter_context(prepared_machine(folder, store=store))
        services = [*service_kinds(is_sqlite=store == "sqlite", has_guard=machine.engine is not None)]
        kinds = [*services, deciding_kind(), *host_kinds(machine), greedy_kind(machine)]
        kinds = [kind for kind in kinds if not only or kind.name in only]
        stack = DrillStack(machine)
        at_end.callback(stack.stop)
        stack.start()
        drill = Drill(stack, kinds, schedule(kinds, faults=faults, seed=seed), seed)
        at_end.callback(drill.close)
        try:
            lines, code = drill.run(), 0
        except Violated as violated:
            lines, code = drill.explain(violated.violations), 1
            stack.keep_evidence()
        for line in lines:
            say(line)
        say(f"{len(drill.history)} faults in {time.monotonic() - drill.began:.0f} s, {drill.sampler.samples} samples")
    return code


def _line(done: Injected) -> str:
    what = f"{done.planned.kind.name}: {done.planned.variant}"
    return f"at {done.at_seconds:.1f} s for {done.seconds:.1f} s: {what}"


def _wait(is_so: Callable[[], bool], seconds: float) -> None:
    """Wait for it, and not for longer: what is not so then is told in full by the checks that follow."""
    with suppress(AssertionError):
        wait_until(is_so, timeout_seconds=seconds, every_seconds=POLL_SECONDS)


def _raise_if(violations: Sequence[Violation]) -> None:
    if violations:
        raise Violated(violations)
