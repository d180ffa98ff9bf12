"""Threads that a test steps by hand: greenlets on one thread, processes that it kills, and a clock that it moves."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from greenlet import GreenletExit, getcurrent, greenlet

# After every real date: what compares it with the machine's own clock finds that no time has passed.
BEGINNING = datetime(2200, 1, 1, tzinfo=UTC)
MOST_STEPS = 20_000  # of one advance; more is a loop that never waits


class Clock:
    """The time of the database and of all hosts."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> datetime:
        """The database's time."""
        return BEGINNING + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """A host's seconds."""
        return self.seconds


class Process:
    """What dies at once, with all its threads. From then on nothing that it calls has an effect."""

    def __init__(self, scheduler: "Scheduler", name: str) -> None:
        self.scheduler = scheduler
        self.name = name
        self.is_dead = False

    def kill(self) -> None:
        """End every thread where it stands; its ``finally`` blocks run, and reach nothing outside."""
        self.is_dead = True
        for task in [task for task in self.scheduler.tasks if task.process is self]:
            task.greenlet.throw(GreenletExit)
            self.scheduler.tasks.remove(task)

    def point(self, label: str) -> None:
        """A place where another thread may go on, time may pass, or this process may die."""
        if self.is_dead:
            raise GreenletExit
        self.scheduler.give_way(label)
        if self.is_dead:
            raise GreenletExit


class Task:
    """A thread: where it stands, and from when on it can go on."""

    def __init__(self, process: Process, label: str, run: Callable[[], object], scheduler: "Scheduler") -> None:
        self.process = process
        self.label = label
        self.ready_at = scheduler.clock.seconds
        self.waits_for: Event | None = None
        self.at = "its start"
        self.greenlet = greenlet(run, parent=scheduler.hub)


class Scheduler:
    """Runs one thread at a time, up to its next point or wait."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.tasks: list[Task] = []
        self.hub = getcurrent()
        self.after_step: Callable[[Task], None] = lambda _task: None
        self._current: Task | None = None

    def spawn(self, process: Process, label: str, run: Callable[[], object]) -> Task:
        """Make a thread that stands at its start."""
        task = Task(process, label, run, self)
        self.tasks.append(task)
        return task

    def step(self, task: Task) -> None:
        """Let a thread go on to its next point."""
        task.waits_for = None
        self._current = task
        task.greenlet.switch()
        self._current = None
        if task.greenlet.dead:
            self.tasks.remove(task)
        self.after_step(task)

    def ready(self, process: Process | None = None) -> list[Task]:
        """The threads that could go on now."""
        now = self.clock.seconds
        return [task for task in self.tasks if task.ready_at <= now and process in (None, task.process)]

    def advance(self, seconds: float, *, stall_seconds: float) -> None:
        """Let time pass; no thread that can go on stands still for longer than ``stall_seconds``."""
        until = self.clock.seconds + seconds
        for _ in range(MOST_STEPS):
            first = min(self.tasks, key=lambda task: task.ready_at, default=None)
            if first is None or first.ready_at + stall_seconds > until:
                self.clock.seconds = until
                return
            self.clock.seconds = max(self.clock.seconds, first.ready_at + stall_seconds)
            self.step(first)
        standing = [(task.label, task.at) for task in self.tasks]
        raise AssertionError(f"{MOST_STEPS} steps within {seconds} s: {standing}")

    def give_way(self, label: str, *, seconds: float = 0, event: "Event | None" = None) -> None:
        """Called by a thread: stand here until the test lets it go on."""
        task = self._current
        assert task is not None, f"{label} outside a thread"
        task.at, task.waits_for, task.ready_at = label, event, self.clock.seconds + seconds
        self.hub.switch()

    def wake(self, event: "Event") -> None:
        """Let those go on that wait for it."""
        for task in self.tasks:
            if task.waits_for is event:
                task.ready_at = min(task.ready_at, self.clock.seconds)


class Event:
    """The twin of threading.Event."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Let everyone go on who waits for it."""
        self._is_set = True
        self._process.scheduler.wake(self)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, or time is up."""
        if self._process.is_dead:
            raise GreenletExit
        if not self._is_set:
            seconds = math.inf if timeout is None else timeout
            self._process.scheduler.give_way("a wait", seconds=seconds, event=self)
        if self._process.is_dead:
            raise GreenletExit
        return self._is_set


class Thread:
    """The twin of threading.Thread."""

    def __init__(self, process: Process, label: str, run: Callable[[], object]) -> None:
        self._process = process
        self._label = label
        self._run = run
        self._ended = Event(process)

    def start(self) -> None:
        """Make it run."""
        self._process.scheduler.spawn(self._process, self._label, self._work)

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._ended.wait(timeout)

    def _work(self) -> None:
        self._run()
        self._ended.set()
