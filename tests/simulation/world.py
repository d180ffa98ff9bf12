"""Two hosts, their workers, and what a schedule can do to them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from random import Random

from shared.errors import Code, JobEnded, JobNotFound, UserError
from shared.jobs.model import JobState
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.scheduling.hosts import Machine
from shared.scheduling.limits import Limits
from shared.settings import Settings
from tests.fakes.runner import FakeAttempt, FakeHost
from tests.simulation.host import SimulatedHost
from tests.simulation.oracle import Oracle
from tests.simulation.outside import MakeRunner, Outside, endless
from tests.simulation.scheduler import Clock, Scheduler
from tests.simulation.worker import Worker
from tests.support.jobs import new_job
from worker.attempt.finishing import Finishing
from worker.host.heartbeat import SIGNS_PER_LOSS
from worker.runners.seam import Exit

LIMITS = Limits(per_key=1, by_key=(("two at a time", 2),), total=3, reserve_gpus_after_seconds=60)
GPUS = ("0", "1")
KEYS = ("one at a time", "two at a time")
STALL_SECONDS = 25  # no thread of a living worker stands still for longer; a lease is 30
LEASE_SECONDS, SWEEP_SECONDS, HOST_LOST_SECONDS = 30, 40, 120

UNBEGUN_EVERY = 4  # the command of every fourth job never begins
NOT_BEGUN = UserError(Code.CONTAINER_FAILED, "The command never began.")

MakeStore = Callable[[Limits, Clock], JobStore]


class Fault(StrEnum):
    """What can be broken for a while."""

    STORE = "the store"
    QUEUE = "the queue"
    TRACKING = "the tracking server"
    ENGINE = "a host's engine"
    NETWORK = "a host's way to store and queue"
    DISK = "a host's disk"


@dataclass(frozen=True)
class NewSubmission:
    """A client's request; ``is_sent``: the API lives to publish the message. ``value``: of its model; 0 for none."""

    key: str
    gpus: int
    priority: int
    is_sent: bool
    value: int = 0


class World:
    """All of a schedule. Every method is one thing that may happen; ``violations`` tell what must not have."""

    def __init__(
        self,
        settings: list[Settings],
        make_store: MakeStore,
        *,
        make_runner: MakeRunner = endless,
        finishing: type[Finishing] = Finishing,
    ) -> None:
        self.scheduler = Scheduler()
        self.clock = self.scheduler.clock
        oracle = Oracle(self.clock, LIMITS)
        self.are_namesakes = len({each.worker_host for each in settings}) < len(settings)
        hosts = [
            SimulatedHost(
                each, each.data_dir, FakeHost(gpus=GPUS), Machine(f"{number}") if self.are_namesakes else None
            )
            for number, each in enumerate(settings)
        ]
        store = make_store(LIMITS, self.clock)
        self.outside = Outside(store, oracle, hosts, make_runner=make_runner, finishing=finishing)
        self.store, self.oracle = store, oracle
        self.hosts = hosts
        self._dice = Random(0)  # noqa: S311 - which worker is the faster one
        self.workers: list[Worker] = []
        self._numbers = count(1)
        oracle.on_lost = self._lose_host
        oracle.is_waiting = lambda job_id: store.get(job_id).state is JobState.QUEUED
        for host in self.hosts:
            self.start(host)
        self.sweep_all()
        self.advance(0, stall_seconds=0)

    def submit(self, job: NewSubmission) -> None:
        """A client submits a job; the API may die before it publishes the message."""
        if self.outside.store_is_down:
            return
        request = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git"}
        number = next(self._numbers)
        new = new_job(
            id=f"job{number}",
            concurrency_key=job.key,
            gpus=job.gpus,
            priority=job.priority,
            request=request,
        )
        submission = self.store.submit(new)
        self.oracle.submitted(submission)
        if job.value:
            self.outside.champions.submitted(submission.job.id, job.value)
        if number % UNBEGUN_EVERY == 0:
            self.oracle.never_begin.add(submission.job.id)
        if job.is_sent and not self.outside.queue.is_down:
            self.outside.queue.send(submission.job)

    def cancel(self, which: int, *, force: bool) -> None:
        """A client cancels a job."""
        known = list(self.oracle.known)
        if not known or self.outside.store_is_down:
            return
        try:
            self.oracle.cancelled(self.store.cancel(known[which % len(known)], force=force))
        except (JobEnded, JobNotFound):
            return

    def deliver(self, which: int, host: SimulatedHost, *, keep: bool = False) -> bool:
        """A worker gets a message, which may come again; False when there is none, or nobody for it."""
        messages, worker = self.outside.queue.messages, self.worker_of(host)
        if not messages or worker is None or not worker.accepts or host.faults.is_cut_off:
            return False
        job_id = messages[which % len(messages)]
        if not keep:
            messages.remove(job_id)
        worker.deliver(job_id)
        return True

    def deliver_all(self) -> bool:
        """Give away all messages for which there is room; whether there were any."""
        given = 0
        while any(self.deliver(0, host) for host in self._dice.sample(self.hosts, len(self.hosts))):
            given += 1
        return given > 0

    def lose_message(self, which: int) -> None:
        """Redis loses a message."""
        if messages := self.outside.queue.messages:
            messages.pop(which % len(messages))

    def worker_of(self, host: SimulatedHost) -> Worker | None:
        """The host's worker, if it has one that was not told to stop."""
        mine = (each for each in self.workers if each.host is host and not each.stopping.is_set())
        return next(mine, None)

    def start(self, host: SimulatedHost) -> None:
        """Start a worker where none is, or where one is stopping; of namesakes' workers each waits for its lock."""
        is_locked = self.are_namesakes and any(each.host is host for each in self.workers)
        if self.worker_of(host) is None and not is_locked:
            self.workers.append(Worker(self.scheduler, host, self.outside, f"{host.name}#{next(self._numbers)}"))

    def kill(self, host: SimulatedHost, which: int) -> None:
        """SIGKILL a worker, where it stands."""
        mine = [each for each in self.workers if each.host is host]
        if mine:
            self._end(mine[which % len(mine)])

    def terminate(self, host: SimulatedHost) -> None:
        """SIGTERM a worker."""
        if worker := self.worker_of(host):
            worker.terminate()

    def sweep(self, host: SimulatedHost, *, reconcile: bool) -> None:
        """Let a worker begin a sweep."""
        if worker := self.worker_of(host):
            worker.begin_sweep(reconcile=reconcile)

    def sweep_all(self) -> None:
        """Let every worker begin a sweep."""
        for host in self.hosts:
            self.sweep(host, reconcile=True)

    def go_on(self, host: SimulatedHost, order: int, steps: int) -> None:
        """Give a host its messages, and let its threads go on one step after the other."""
        while self.deliver(order, host):
            pass
        for number in range(steps):
            self.work(host, order * (number + 1) % 7, 1)

    def work(self, host: SimulatedHost, which: int, steps: int) -> None:
        """Let one thread of a host go on."""
        ready = [task for each in self.workers if each.host is host for task in self.scheduler.ready(each)]
        if not ready:
            return
        task = ready[which % len(ready)]
        for _ in range(steps):
            if task.greenlet.dead or task.ready_at > self.clock.seconds:
                return
            self.scheduler.step(task)

    def advance(self, seconds: float, *, stall_seconds: float = STALL_SECONDS) -> None:
        """Let time pass."""
        until = self.clock.seconds + seconds
        while ending := [each for each in self.workers if each.killed_at is not None and each.killed_at <= until]:
            worker = min(ending, key=lambda each: each.killed_at or 0)
            wait = max(0.0, (worker.killed_at or 0) - self.clock.seconds)
            self.scheduler.advance(wait, stall_seconds=stall_seconds)
            self._end(worker)
        self.scheduler.advance(until - self.clock.seconds, stall_seconds=stall_seconds)

    def live(self) -> list[FakeAttempt]:
        """The containers that run."""
        return [each for host in self.hosts for each in host.live().values()]

    def set_fault(self, host: SimulatedHost, fault: Fault, *, is_on: bool) -> None:
        """Break something, or repair it."""
        match fault:
            case Fault.STORE:
                self.outside.take_store(self.clock, is_down=is_on, gap_seconds=HOST_LOST_SECONDS / SIGNS_PER_LOSS)
            case Fault.QUEUE:
                self.outside.queue.is_down = is_on
            case Fault.TRACKING:
                self.outside.tracking.down = is_on
            case Fault.ENGINE:
                host.faults.engine_is_down = is_on
            case Fault.NETWORK:
                host.faults.is_cut_off = is_on
            case Fault.DISK:
                host.faults.disk_is_full = is_on

    def advance_fairly(self, seconds: float) -> None:
        """Let time pass, while messages arrive, workers sweep, and nothing stands still."""
        until = self.clock.seconds + seconds
        while True:
            self.deliver_all()
            self.advance(min(SWEEP_SECONDS, until - self.clock.seconds), stall_seconds=0)
            if self.clock.seconds >= until:
                return
            self.sweep_all()

    def print(self, which: int, text: bytes) -> None:
        """A training prints something."""
        if live := self.live():
            live[which % len(live)].log += text

    def end_container(self, which: int, exit_code: int) -> None:
        """A training ends, or is killed by hand; whether its command ever began, the exit code does not tell."""
        if live := self.live():
            ended = live[which % len(live)]
            begins = ended.spec.job_id not in self.oracle.never_begin
            ended.exit = Exit(exit_code=exit_code, not_begun=None if begins else NOT_BEGUN)

    def remove_container(self, which: int) -> None:
        """Somebody removes a container by hand."""
        live = [(host, name) for host in self.hosts for name in host.live()]
        if live:
            host, name = live[which % len(live)]
            self.outside.removed_by_hand.add(name)
            del host.containers.attempts[name]

    def delete_history(self, older_than_seconds: float) -> None:
        """The retention deletes jobs that have ended."""
        if self.outside.store_is_down:
            return
        self.store.delete_ended(older_than_seconds=older_than_seconds, limit=10)
        left = {job.id for job in self.store.list(JobFilter(), limit=100)}
        for job_id, known in self.oracle.known.items():
            known.is_deleted = job_id not in left
            self.oracle.expect(
                not known.is_deleted or known.ended_as is not None, f"{job_id} was deleted before its end"
            )

    def _end(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.kill()

    def _lose_host(self, job_id: str, name: str) -> None:
        """What runs on a lost host that has no worker, or no engine, nobody can reach until it is back."""
        watched_seconds = self.clock.seconds - self.outside.store_was_back_at
        is_sure = watched_seconds >= HOST_LOST_SECONDS
        self.oracle.expect(is_sure, f"{name} was given up {watched_seconds} s after the store was back")
        for host in (each for each in self.hosts if each.name == name):
            if host.faults.engine_is_down or not any(each.host is host for each in self.workers):
                self.outside.taken_from(job_id, host)

    def close(self) -> None:
        """End all threads."""
        for worker in list(self.workers):
            self._end(worker)
