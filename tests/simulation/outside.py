"""What the simulated workers share: store, queue, tracking server and hosts, with what is broken of them."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from shared.errors import Code, InfrastructureError, QueueUnavailable, StoreUnavailable
from shared.jobs.model import Job
from shared.jobs.store import JobStore
from shared.secrets.vault import Vault
from tests.fakes.runner import FakeAttempt, FakeHost, FakeRunner, Script
from tests.fakes.tracking import FakeTracking
from tests.simulation.champions import Champions
from tests.simulation.host import SimulatedHost
from tests.simulation.oracle import Oracle
from tests.simulation.scheduler import Clock
from worker.attempt.finishing import Finishing
from worker.attempt_name import parse_attempt_name

KEY = b"c2ltdWxhdGlvbi1vZi1yZXRyYWluaW5nLWpvYnMtMDE="

MakeRunner = Callable[[FakeHost], FakeRunner]


def endless(host: FakeHost) -> FakeRunner:
    """The engine of a host whose attempts run until the test ends them."""
    return FakeRunner(Script(hangs=True), host=host)


class MessageQueue:
    """Messages that the test delivers, in any order and number, or loses."""

    def __init__(self) -> None:
        self.is_down = False
        self.messages: list[str] = []

    def send(self, job: Job, *, host: str | None = None) -> None:
        """Keep it until it is delivered, to whatever host."""
        if self.is_down:
            raise QueueUnavailable("Redis is down.")
        if job.id not in self.messages:
            self.messages.append(job.id)

    def ping(self) -> None:
        """Nobody asks."""


class Outside:
    """All that outlives a worker."""

    def __init__(
        self,
        store: JobStore,
        oracle: Oracle,
        hosts: Sequence[SimulatedHost],
        *,
        make_runner: MakeRunner,
        finishing: type[Finishing],
    ) -> None:
        self.store = store
        self.oracle = oracle
        self.hosts = hosts
        self.store_is_down = False
        self.store_was_back_at = -math.inf  # after the last outage in which all signs of life stopped
        self._store_went_at = 0.0
        self.tracking = FakeTracking()
        self.champions = Champions(store, oracle, self.tracking.models)
        self.queue = MessageQueue()
        self.vault = Vault(KEY)
        self.reported: list[Job] = []
        self.attempts: dict[str, FakeAttempt] = {}  # all that ever were, by container name
        self.removed_by_hand: set[str] = set()
        self.out_of_reach: set[str] = set()  # containers of a lost host that nobody could stop
        self._started: Counter[str] = Counter()
        self._make_runner = make_runner
        self.finishing = finishing

    def make_runner(self, host: SimulatedHost) -> FakeRunner:
        """The engine's client of a new worker."""
        return self._make_runner(host.containers)

    def take_store(self, clock: Clock, *, is_down: bool, gap_seconds: float) -> None:
        """Take the store away from everyone, or bring it back."""
        if is_down and not self.store_is_down:
            self._store_went_at = clock.seconds
        if self.store_is_down and not is_down and clock.seconds - self._store_went_at > gap_seconds:
            self.store_was_back_at = clock.seconds
        self.store_is_down = is_down

    def require(self, name: str, host: SimulatedHost) -> None:
        """Raise what a call raises that cannot get through."""
        if name in ("store", "queue") and host.faults.is_cut_off:
            raise (StoreUnavailable if name == "store" else QueueUnavailable)("The host is cut off.")
        if name == "store" and self.store_is_down:
            raise StoreUnavailable("The store is down.")
        if name == "tracking" and self.tracking.down:
            raise InfrastructureError(Code.TRACKING_UNAVAILABLE, "The tracking server is down.")
        if name == "engine" and host.faults.engine_is_down:
            raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "The engine is down.")

    def look_at_containers(self, host: SimulatedHost) -> None:
        """Check what runs where; called when an engine did something."""
        self.attempts.update(host.containers.attempts)
        self._look_for_second_starts(host)
        running = Counter(job_of(name) for each in self.hosts for name in each.live() if name not in self.out_of_reach)
        for job_id, count in running.items():
            self.oracle.expect(count == 1, f"{count} containers of {job_id} run at once")
        held = Counter(gpu for name in host.live() for gpu in self._gpus_of(host, name))
        self.oracle.expect(all(count == 1 for count in held.values()), f"containers of {host.name} share a GPU: {held}")

    def _look_for_second_starts(self, host: SimulatedHost) -> None:
        started = Counter(spec.name for each in self.hosts for spec in each.containers.started)
        for name, count in started.items():
            self.oracle.expect(count == 1 or name in self.removed_by_hand, f"{name} was started {count} times")
            if count != self._started[name]:
                self.oracle.began(job_of(name))
        self._started = started

    def taken_from(self, job_id: str, host: SimulatedHost) -> None:
        """A job was taken from a host where nobody can stop its container: excused, but it must be gone at the end."""
        self.out_of_reach |= {name for name in host.live() if job_of(name) == job_id}

    def _gpus_of(self, host: SimulatedHost, name: str) -> Sequence[str]:
        return next(spec.gpu_ids for spec in host.containers.started if spec.name == name)


def job_of(name: str) -> str:
    """The job whose attempt a container's name tells."""
    return parse_attempt_name(name).job_id
