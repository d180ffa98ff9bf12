"""The state machine: Hypothesis draws what happens, and in which order."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from shared.settings import Settings
from tests.fakes.source import PROJECT
from tests.simulation.ending import check_the_end, come_to_rest
from tests.simulation.outside import MakeRunner, endless
from tests.simulation.world import (
    HOST_LOST_SECONDS,
    KEYS,
    LEASE_SECONDS,
    LIMITS,
    SWEEP_SECONDS,
    Fault,
    MakeStore,
    NewSubmission,
    World,
)
from worker.attempt.finishing import Finishing

STEPS = 40
MOST_JOBS = 4
POLL_SECONDS = 10  # a call costs the same as with one second, and there are fewer
ANY = st.integers(0, 3)
HOST = st.integers(0, 1)
ORDER = st.integers(0, 99)
FAULT = st.sampled_from(sorted(Fault))
JOB = st.builds(
    NewSubmission, key=st.sampled_from(KEYS), gpus=st.integers(0, 2), priority=st.integers(0, 1), is_sent=st.booleans()
)
SECONDS = st.sampled_from([1, SWEEP_SECONDS, LEASE_SECONDS + 1, HOST_LOST_SECONDS * 2 // 3 + 7, HOST_LOST_SECONDS + 40])


class Violations(logging.Handler):
    """Takes what a worker's outermost frames caught for a finding."""

    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        """Note an error with a traceback: the others are said on purpose."""
        if record.exc_info:
            self._found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def listening(found: list[str]) -> Iterator[None]:
    """Take what is logged with a traceback, and keep the rest quiet: a schedule logs hundreds of lines."""
    loggers, handler = [logging.getLogger(name) for name in ("worker", "shared")], Violations(found)
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagates) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagates


class Simulated(RuleBasedStateMachine):
    """What all schedules have. The plan says on which store, and what of the code is taken out."""

    plan: "Plan"

    def __init__(self) -> None:
        super().__init__()
        plan = self.plan
        self.world = World(plan.settings, plan.make_store, make_runner=plan.make_runner, finishing=plan.finishing)
        self._listening = listening(self.world.oracle.violations)
        self._listening.__enter__()

    @invariant()
    def nothing_is_violated(self) -> None:
        for first in self.world.oracle.violations[:1]:
            raise AssertionError(first)

    def teardown(self) -> None:
        try:
            if not self.world.oracle.violations:
                come_to_rest(self.world)
                self.nothing_is_violated()
                check_the_end(self.world)
                self.nothing_is_violated()
                self.plan.schedules += 1
        finally:
            self.world.close()
            self._listening.__exit__(None, None, None)


class Schedules(Simulated):
    """One schedule: anything may happen."""

    @initialize(jobs=st.lists(JOB, min_size=1, max_size=3), order=ORDER, steps=st.integers(0, 60))
    def begin(self, jobs: list[NewSubmission], order: int, steps: int) -> None:
        for job in jobs:
            self.world.submit(job)
        self.world.go_on(self.world.hosts[order % 2], order, steps)

    @rule(job=JOB)
    def submit(self, job: NewSubmission) -> None:
        if len(self.world.oracle.known) < MOST_JOBS:
            self.world.submit(job)

    @rule(which=ANY, force=st.booleans())
    def cancel(self, which: int, force: bool) -> None:
        self.world.cancel(which, force=force)

    @rule(which=ANY, host=HOST, keep=st.booleans())
    def deliver(self, which: int, host: int, keep: bool) -> None:
        self.world.deliver(which, self.world.hosts[host], keep=keep)

    @rule(which=ANY)
    def lose_message(self, which: int) -> None:
        self.world.lose_message(which)

    @rule(host=HOST, thread=ANY, steps=st.integers(1, 12))
    def work(self, host: int, thread: int, steps: int) -> None:
        self.world.work(self.world.hosts[host], thread, steps)

    @rule(host=HOST, order=ORDER, steps=st.integers(1, 60))
    def go_on(self, host: int, order: int, steps: int) -> None:
        self.world.go_on(self.world.hosts[host], order, steps)

    @rule(seconds=SECONDS)
    def advance(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule(seconds=SECONDS)
    def advance_fairly(self, seconds: int) -> None:
        self.world.advance_fairly(seconds)

    @rule(host=HOST, is_killed=st.booleans())
    def lose_host(self, host: int, is_killed: bool) -> None:
        self.world.set_fault(self.world.hosts[host], Fault.NETWORK, is_on=True)
        if is_killed:
            self.world.kill(self.world.hosts[host], 0)
        self.world.advance_fairly(HOST_LOST_SECONDS + 4 * SWEEP_SECONDS)  # and its jobs begin elsewhere

    @rule(host=HOST, reconcile=st.booleans())
    def sweep(self, host: int, reconcile: bool) -> None:
        self.world.sweep(self.world.hosts[host], reconcile=reconcile)

    @rule(host=HOST, order=ORDER, steps=st.integers(0, 60), is_restarted=st.booleans())
    def kill_worker(self, host: int, order: int, steps: int, is_restarted: bool) -> None:
        self.world.go_on(self.world.hosts[host], order, steps)
        self.world.kill(self.world.hosts[host], order)
        if is_restarted:
            self.world.start(self.world.hosts[host])

    @rule(host=HOST, is_replaced=st.booleans())
    def terminate_worker(self, host: int, is_replaced: bool) -> None:
        self.world.terminate(self.world.hosts[host])
        if is_replaced:
            self.world.start(self.world.hosts[host])

    @rule(host=HOST)
    def start_worker(self, host: int) -> None:
        self.world.start(self.world.hosts[host])

    @rule(host=HOST, what=FAULT)
    def break_down(self, host: int, what: Fault) -> None:
        self.world.set_fault(self.world.hosts[host], what, is_on=True)

    @rule(host=HOST, what=FAULT)
    def repair(self, host: int, what: Fault) -> None:
        self.world.set_fault(self.world.hosts[host], what, is_on=False)

    @rule(host=HOST, of=st.sampled_from(["store", "engine", "tracking"]), nth=st.integers(1, 6))
    def lose_answer(self, host: int, of: str, nth: int) -> None:
        self.world.hosts[host].faults.lose_nth_answer(of, nth)

    @rule(which=ANY, text=st.sampled_from([b"epoch\n", b"no line end"]))
    def print_something(self, which: int, text: bytes) -> None:
        self.world.print(which, text)

    @rule(which=ANY, exit_code=st.sampled_from([0, 3, 137]))
    def end_training(self, which: int, exit_code: int) -> None:
        self.world.end_container(which, exit_code)

    @rule(which=ANY)
    def remove_container(self, which: int) -> None:
        self.world.remove_container(which)

    @rule(older_than_seconds=st.sampled_from([400, 600]))
    def delete_history(self, older_than_seconds: int) -> None:
        self.world.delete_history(older_than_seconds)


@dataclass
class Plan:
    """What the schedules run on, and how many came to their end."""

    settings: list[Settings]
    make_store: MakeStore
    make_runner: MakeRunner = endless
    finishing: type[Finishing] = Finishing
    kind: type[Simulated] = Schedules
    mutants: Mapping[str, Any] = field(default_factory=dict)  # by what they replace
    seed: int = 0
    steps: int = STEPS
    schedules: int = 0


def host_settings(folder: Path, *names: str) -> list[Settings]:
    """The settings of some hosts, whose every source is one project."""
    (folder / "MLproject").write_text(PROJECT)
    return [
        Settings.load(
            _env_file=None,
            data_dir=folder,
            worker_host=name,
            slots=2,
            lease_seconds=LEASE_SECONDS,
            host_lost_after_seconds=HOST_LOST_SECONDS,
            resend_after_seconds=15,
            retry_initial_delay_seconds=5,
            retry_max_delay_seconds=20,
            limit_per_key=LIMITS.per_key,
        )
        for name in names
    ]


def look_rarely(patched: pytest.MonkeyPatch) -> None:
    """Let workers look at their containers and hosts less often, which finds the same in fewer steps."""
    patched.setattr("worker.attempt.supervision.FIRST_POLL_SECONDS", POLL_SECONDS)
    patched.setattr("worker.attempt.supervision.POLL_SECONDS", POLL_SECONDS)
    patched.setattr("worker.attempt.supervision.LOOK_SECONDS", POLL_SECONDS)
    patched.setattr("worker.host.heartbeat.LOOK_SECONDS", POLL_SECONDS)


def run_schedules(plan: Plan, count: int, *, is_shrunk: bool = True) -> None:
    """Run that many schedules, the same ones each time; the shortest that breaks a promise is raised and printed."""
    chosen = settings(
        max_examples=count,
        stateful_step_count=plan.steps,
        deadline=None,
        database=None,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink) if is_shrunk else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    with pytest.MonkeyPatch.context() as patched:
        look_rarely(patched)
        patched.setattr("shared.promoting.PAUSE_SECONDS", POLL_SECONDS)
        patched.setattr("shared.promoting.WAIT_SECONDS", 50 * POLL_SECONDS)
        for name, mutant in plan.mutants.items():
            patched.setattr(name, mutant)
        machine = type("Schedule", (plan.kind,), {"plan": plan})
        run_state_machine_as_test(seed(plan.seed)(machine), settings=chosen)


def find_violation(plan: Plan, count: int) -> str:
    """The first promise that one of that many schedules breaks; empty where all hold."""
    try:
        run_schedules(plan, count, is_shrunk=False)
    except AssertionError as error:
        return str(error)
    return ""
