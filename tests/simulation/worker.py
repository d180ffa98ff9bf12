"""A worker process of the simulation: the real parts, behind Remotes."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from shared.errors import HostNameTaken
from tests.simulation.host import HostDisk, HostSource, SimulatedHost
from tests.simulation.outside import Outside
from tests.simulation.remote import Remote
from tests.simulation.scheduler import Event, Process, Scheduler, Task, Thread
from worker import composition
from worker.attempt.lease import LeaseKeeper
from worker.composition import build
from worker.host.disk import DiskGuard
from worker.interruption import SideWork
from worker.runners.seam import Handle

STOP_SECONDS = 10  # after SIGTERM; then it is killed


class Worker(Process):
    """One process on a host, from its start to its end."""

    def __init__(self, scheduler: Scheduler, host: SimulatedHost, outside: Outside, name: str) -> None:
        super().__init__(scheduler, name)
        self.host = host
        self.killed_at: float | None = None  # when it was told to stop: until then at the latest
        self._outside = outside
        self._sweeping: Task | None = None
        self._running: list[Task] = []
        self.stopping = cast(Any, Event(self))
        self._has_name = host.machine is None  # nobody else asks for it
        self._build()

    def _build(self) -> None:
        host, outside, settings = self.host, self._outside, self.host.settings
        store = self._remote("store", outside.store, observe=outside.oracle.observe)
        runner = self._remote("engine", outside.make_runner(host), observe=lambda *_: outside.look_at_containers(host))
        tracking = self._remote("tracking", outside.tracking)
        tracking.gate = self._remote("tracking", outside.champions.gate, observe=outside.champions.observe)
        queue = self._remote("queue", outside.queue)
        source = HostSource(host, self.point)
        parts = build(
            settings,
            composition.Outside(
                store=store,
                queue=queue,
                runner=runner,
                source=source,
                tracking=tracking,
                vault=outside.vault,
                disk=cast(DiskGuard, HostDisk(host)),
                report=outside.reported.append,
                machine=host.machine,
            ),
            composition.Running(
                stopping=self.stopping,
                clock=self.scheduler.clock.monotonic,
                lease_keeper=self._keep_lease,
                side_work=self._side_work,
                on_refused=self.terminate,
                finishing=outside.finishing,
            ),
        )
        self.sweep, self.tasks, self._heartbeat = parts.sweep, parts.tasks, parts.heartbeat
        self._slots = parts.here.slots
        guard = partial(self._heartbeat.guard_until, self.stopping)
        self.loops = [self._spawn("beat", self._beat), self._spawn("guard", guard)]

    def _beat(self) -> None:
        try:
            if not self._has_name:
                self._heartbeat.take_name(pause=cast(Any, Event(self)).wait)
        except HostNameTaken:
            self.terminate()
        else:
            self._has_name = True
            self._heartbeat.beat_until(self.stopping)

    def _remote(self, name: str, target: object, *, observe: Callable[..., None] | None = None) -> Any:
        return Remote(
            self,
            name,
            target,
            check=lambda: self._outside.require(name, self.host),
            observe=observe,
            answer=lambda: self.host.faults.lose_answer(name),
        )

    def _keep_lease(self, *arguments: Any, **named: Any) -> LeaseKeeper:
        return GreenLease(self, *arguments, **named)

    def _side_work(self, work: Callable[[], Handle], *, name: str) -> SideWork[Handle]:
        return GreenWork(self, work, name=name)

    @property
    def accepts(self) -> bool:
        """Whether Celery would give it a message."""
        self._running = [task for task in self._running if not task.greenlet.dead]
        is_up = self._has_name and not (self.is_dead or self.stopping.is_set())
        return is_up and len(self._running) < self._slots

    @property
    def is_sweeping(self) -> bool:
        """Whether its sweep is under way."""
        return self._sweeping is not None and not self._sweeping.greenlet.dead

    def deliver(self, job_id: str) -> None:
        """Give it a message."""
        self._running.append(self._spawn(f"task {job_id}", lambda: self.tasks.run(job_id)))

    def begin_sweep(self, *, reconcile: bool) -> None:
        """Let its sweep begin, unless one is under way."""
        if self._has_name and not self.is_sweeping and not self.stopping.is_set():
            self._sweeping = self._spawn("sweep", lambda: self.sweep.once(reconcile=reconcile))

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self.killed_at is None:
            self.killed_at = self.scheduler.clock.seconds + STOP_SECONDS
            self.stopping.set()

    def thread(self, label: str, run: Callable[[], object]) -> Thread:
        """A thread of this process."""
        return Thread(self, f"{self.name} {label}", self._guarded(label, run))

    def _spawn(self, label: str, run: Callable[[], object]) -> Task:
        return self.scheduler.spawn(self, f"{self.name} {label}", self._guarded(label, run))

    def _guarded(self, label: str, run: Callable[[], object]) -> Callable[[], object]:
        def work() -> None:
            try:
                run()
            except Exception as error:  # noqa: BLE001 - a thread's outermost frame: whatever it is, it is a finding
                self._outside.oracle.expect(False, f"{self.name} {label} raised {error!r}")

        return work


class GreenWork(SideWork[Handle]):
    """Work whose thread is the simulation's."""

    def __init__(self, worker: Worker, work: Callable[[], Handle], *, name: str) -> None:
        super().__init__(work, name=name)
        self._done = cast(Any, Event(worker))
        self._thread = cast(Any, worker.thread(name, self._run))


class GreenLease(LeaseKeeper):
    """A LeaseKeeper whose thread is the simulation's."""

    def __init__(self, worker: Worker, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._done = cast(Any, Event(worker))
        self._thread = cast(Any, worker.thread(f"lease {self._claim.job.id}", self._renew))
