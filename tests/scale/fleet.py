"""Pretended hosts: they beat, sweep, claim and finish with the real worker's parts; only the training is missing."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from shared.jobs.model import Job
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.scheduling.leases import LONGEST_LEASE_SECONDS
from shared.settings import Settings
from tests.fakes.runner import FakeHost, FakeRunner
from tests.fakes.source import FakeSource
from tests.fakes.tracking import FakeTracking
from tests.scale.timing import Timings, timed
from tests.support.jobs import SUCCEEDED
from worker.attempt.deciding import Deciding
from worker.attempt.finishing import Finishing
from worker.host.disk import DiskGuard
from worker.host.heartbeat import Heartbeat
from worker.host.offer import HostOffer
from worker.sweep.aliases import Aliases
from worker.sweep.cleaning import Cleaning
from worker.sweep.sweep import Active, Sweep

CHANNELS = ("discord",)
ALERT_LEASE_SECONDS = 60.0
HOURS_SECONDS = 86400  # a pretended host's turn may be long in coming


class Messages:
    """What Redis holds: a host takes the oldest of what any may take, else of what was sent to it alone."""

    def __init__(self) -> None:
        self._ids: defaultdict[str | None, deque[str]] = defaultdict(deque)

    def send(self, job: Job, *, host: str | None = None) -> None:
        """Add one."""
        self._ids[host].append(job.id)

    def ping(self) -> None:
        """Nobody asks."""

    def take(self, host: str) -> str | None:
        """Take one."""
        for ids in (self._ids[None], self._ids[host]):
            with suppress(IndexError):
                return ids.popleft()
        return None


@dataclass
class PretendedHost:
    """A machine with a worker, as the store sees it."""

    settings: Settings
    store: JobStore
    messages: Messages
    timings: Timings
    claims: list[tuple[str, int]]  # of all hosts: job and attempt
    running: deque[Claim] = field(default_factory=deque)

    def __post_init__(self) -> None:
        settings, store, stopping = self.settings, self.store, threading.Event()
        tracking = FakeTracking()
        runner, source = FakeRunner(host=FakeHost(gpus=("0", "1"))), FakeSource(settings.data_dir)
        self.here = HostOffer(settings, runner)
        self.here.offer_gpus(held=())
        disk = DiskGuard(lambda: [settings.data_dir], low_bytes=0, source=source, runner=runner)
        self._sweep = Sweep(
            settings,
            store,
            self.messages,
            runner,
            source,
            Active(),
            self.here,
            Finishing(settings, store, runner, tracking, stopping, Deciding(store, tracking.gate)),
            Cleaning(settings, store, source, disk, self.here),
            Aliases(store, tracking.gate),
            report=lambda _job: None,
        )
        self._heartbeat = Heartbeat(settings, store, runner, self.here)

    def beat(self) -> None:
        """Give a sign of life."""
        self._heartbeat.beat()

    def watch(self) -> None:
        """What a worker does every few seconds, whether or not it has work."""
        self.beat()
        with self.timings.of("sweep"):
            self._sweep.once(reconcile=False)

    def look_for_alerts(self) -> None:
        """What a worker with a channel does every second."""
        with self.timings.of("look for alerts"):
            self.store.take_trial(CHANNELS)
            self.store.take_alert(CHANNELS, lease_seconds=ALERT_LEASE_SECONDS)

    def end_one(self) -> None:
        """Let the training that has run for longest succeed, and send what may follow, as the Celery task does."""
        if self.running:
            self.store.finish(self.running.popleft(), SUCCEEDED)
            self._sweep.send_next()

    def leave(self) -> None:
        """Stop for good, when what runs has ended."""
        while self.running:
            self.end_one()
        self.store.leave(self.here.name)

    def work_off(self, *, slots: int) -> None:
        """Follow messages as long as so many slots are not in use."""
        while len(self.running) < slots and (job_id := self.messages.take(self.here.name)):
            claim = self._claim(job_id)
            if claim is not None:
                self.claims.append((claim.job.id, claim.attempt.number))
                self.store.started(claim, runner="docker", container=f"container of {job_id}")
                self.store.renew(claim, lease_seconds=self.settings.lease_seconds)
                self.running.append(claim)

    def _claim(self, job_id: str) -> Claim | None:
        """Claim, and time it apart where it is not refused, which is faster."""
        began = time.perf_counter()
        claim = self.store.claim(job_id, host=self.here.now(), lease_seconds=self.settings.lease_seconds)
        if claim is not None:
            self.timings.seconds["claimed"].append(time.perf_counter() - began)
        return claim


class Fleet:
    """Hosts that share a store. So many clients act for them at a time, whatever their number is."""

    def __init__(self, store: JobStore, folder: Path, *, slots: int, clients: int) -> None:
        self.timings = Timings()
        self.messages = Messages()
        self.claims: list[tuple[str, int]] = []
        self.hosts: list[PretendedHost] = []
        self._store = store
        self._clients = clients
        self._settings = Settings.load(
            _env_file=None,
            data_dir=folder,
            slots=slots,
            lease_seconds=LONGEST_LEASE_SECONDS,
            host_lost_after_seconds=HOURS_SECONDS,
        )

    @property
    def store(self) -> JobStore:
        """The store with its calls timed."""
        return timed(self._store, self.timings)

    def resize(self, count: int) -> None:
        """Start hosts, or let some leave, until there are so many."""
        self.all_do(self.hosts[count:], lambda host: host.leave())
        del self.hosts[count:]
        new = [self._start_host(f"host-{number}") for number in range(len(self.hosts), count)]
        self.hosts += new
        self.all_do(new, lambda host: host.beat())

    def _start_host(self, name: str) -> PretendedHost:
        settings = self._settings.model_copy(update={"worker_host": name})
        return PretendedHost(settings, self.store, self.messages, self.timings, self.claims)

    def all_do(self, hosts: Sequence[PretendedHost], act: Callable[[PretendedHost], None]) -> None:
        """Let each of these hosts act once; the first error that one of them had is raised."""
        left, errors = deque(hosts), list[BaseException]()
        work = partial(_work_off, left, act, errors)
        threads = [threading.Thread(target=work, name=f"client-{number}") for number in range(self._clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]


def _work_off(left: deque[PretendedHost], act: Callable[[PretendedHost], None], errors: list[BaseException]) -> None:
    while not errors:
        try:
            host = left.popleft()
        except IndexError:
            return
        try:
            act(host)
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame: whoever waits for it raises it
            errors.append(error)
