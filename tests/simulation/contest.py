"""Three trainings of one model end at the same time, and their workers decide: the state machine of that alone."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from shared.promoting import MOVE_SECONDS
from tests.simulation.machine import ANY, HOST, POLL_SECONDS, Simulated
from tests.simulation.scheduler import Task
from tests.simulation.world import HOST_LOST_SECONDS, KEYS, SWEEP_SECONDS, Fault, NewSubmission

VALUES = (1, 2, 3)
STEPS = 10
SOME = st.integers(0, 20)
MOST_STEPS = 200  # of a thread, from the end of its training to that of its job
SECONDS = st.sampled_from([1, POLL_SECONDS, SWEEP_SECONDS, MOVE_SECONDS + 1])
FAULT = st.sampled_from([Fault.NETWORK, Fault.STORE, Fault.TRACKING])


class Contests(Simulated):
    """One contest. Most of what happens is a step of a thread that decides."""

    @initialize(values=st.permutations(VALUES), which=ANY, steps=SOME, more=SOME, host=HOST, is_killed=st.booleans())
    def begin(self, values: Sequence[int], which: int, steps: int, more: int, host: int, is_killed: bool) -> None:
        for key, value in zip((KEYS[0], KEYS[1], KEYS[1]), values, strict=True):
            self.world.submit(NewSubmission(key, gpus=0, priority=0, is_sent=True, value=value))
        self.world.oracle.never_begin.clear()
        self.world.advance_fairly(SWEEP_SECONDS)
        while self.world.live():
            self.world.end_container(0, 0)
        self.world.advance(POLL_SECONDS)  # nobody has looked yet, and everybody could
        self.overtake(which, steps, more, host, is_killed)

    @rule(which=ANY, steps=st.integers(1, 30))
    def decide(self, which: int, steps: int) -> None:
        if deciding := self._deciding():
            self._step(deciding[which % len(deciding)], steps)

    @rule(which=ANY, steps=SOME, more=SOME, host=HOST, is_killed=st.booleans())
    def overtake(self, which: int, steps: int, more: int, host: int, is_killed: bool) -> None:
        """One stands still somewhere, and meanwhile the others come to their end."""
        if not (deciding := self._deciding()):
            return
        slow = deciding.pop(which % len(deciding))
        self._step(slow, steps)
        for other in deciding:
            self._step(other, MOST_STEPS)
        self._step(slow, more)
        if is_killed:
            self.kill_worker(host, which, is_restarted=True)

    @rule(which=ANY, steps=st.integers(1, 40))
    def finish_what_was_left(self, which: int, steps: int) -> None:
        self.world.sweep_all()
        sweeping = [task for task in self.world.scheduler.ready() if task.label.endswith(" sweep")]
        if sweeping:
            self._step(sweeping[which % len(sweeping)], steps)

    @rule(host=HOST, which=ANY, is_restarted=st.booleans())
    def kill_worker(self, host: int, which: int, is_restarted: bool) -> None:
        self.world.kill(self.world.hosts[host], which)
        if is_restarted:
            self.world.start(self.world.hosts[host])

    @rule(host=HOST)
    def lose_host(self, host: int) -> None:
        self.world.set_fault(self.world.hosts[host], Fault.NETWORK, is_on=True)
        self.world.advance_fairly(HOST_LOST_SECONDS + 4 * SWEEP_SECONDS)

    @rule(host=HOST, what=FAULT, is_on=st.booleans())
    def break_down(self, host: int, what: Fault, is_on: bool) -> None:
        self.world.set_fault(self.world.hosts[host], what, is_on=is_on)

    @rule(host=HOST, of=st.sampled_from(["store", "tracking"]), nth=st.integers(1, 6))
    def lose_answer(self, host: int, of: str, nth: int) -> None:
        self.world.hosts[host].faults.lose_nth_answer(of, nth)

    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        self.world.cancel(which, force=False)

    @rule(seconds=SECONDS)
    def advance_fairly(self, seconds: int) -> None:
        self.world.advance_fairly(seconds)

    def _deciding(self) -> list[Task]:
        return [task for task in self.world.scheduler.ready() if " task " in task.label]

    def _step(self, task: Task, steps: int) -> None:
        """Let a thread go on, unless it waits or ends."""
        for _ in range(steps):
            if task.greenlet.dead or task.ready_at > self.world.clock.seconds:
                return
            self.world.scheduler.step(task)
