"""What may run where: limits by key, in all, by slots and by GPU device; and who goes first. Pure decisions, no I/O."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.requests.fields import unknown_among

LIVE_SECONDS = 60.0  # a host that was silent for longer is not counted on
LONGEST_LEASE_SECONDS = 600.0
CLOCK_SLACK = timedelta(minutes=1)  # what is dated this much later than now was written before the clock was set back


class QueueCode(StrEnum):
    """Why a job is queued, for programs."""

    NEXT = "NEXT"  # nothing is in its way
    NO_WORKER = "NO_WORKER"
    NEWER_REQUEST = "NEWER_REQUEST"  # no worker knows all that the request asks for
    NO_HOST_FITS = "NO_HOST_FITS"
    SLOTS = "SLOTS"
    KEY_LIMIT = "KEY_LIMIT"
    TOTAL_LIMIT = "TOTAL_LIMIT"
    GPUS = "GPUS"
    GPUS_RESERVED = "GPUS_RESERVED"
    DISK_FULL = "DISK_FULL"
    NO_FIREWALL = "NO_FIREWALL"
    DRAINED = "DRAINED"


@dataclass(frozen=True)
class Limits:
    """How many attempts may run at the same time. ``by_key``: pattern (``*``: anything) and limit; the first wins."""

    per_key: int = 1
    by_key: tuple[tuple[str, int], ...] = ()
    total: int | None = None
    reserve_gpus_after_seconds: float = 600

    def for_key(self, key: str) -> int:
        """How many jobs of this key may run at the same time."""
        return next((limit for pattern, limit in self.by_key if _fits(pattern, key)), self.per_key)


def _fits(pattern: str, key: str) -> bool:
    """Whether the key is as the pattern says. Looks at each part once: keys come from requests."""
    first, *parts = pattern.split("*")
    if not parts:
        return key == first
    *inner, last = parts
    at, end = len(first), len(key) - len(last)
    if not (key.startswith(first) and key.endswith(last)):
        return False
    for part in inner:
        found = key.find(part, at, max(end, 0))
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


@dataclass(frozen=True)
class Drain:
    """That a person wants a host to take no new attempts."""

    since: datetime
    reason: str


@dataclass(frozen=True)
class Machine:
    """Which machine has a host's name: two of one name are told apart by it.

    ``id`` stays the same when the worker there is started again; its part behind the colon changes when the machine is.
    ``engine`` stays as long as Docker's data does; None where it is not known yet, or there is none. ``says`` is for
    people.
    """

    id: str
    engine: str | None = None
    says: str = ""

    def runs(self, *, machine: str | None, engine: str | None) -> bool:
        """Whether an attempt that began on that machine, and that engine, is here; older workers said neither."""
        return machine is None or (machine == self.id and engine in (None, self.engine))

    def may_have_run(self, *, machine: str | None, engine: str | None) -> bool:
        """Whether it may be here from before this machine was started again: what is found here says."""
        is_again = machine is not None and machine != self.id and _file_of(machine) == _file_of(self.id)
        return is_again and engine in (None, self.engine)


def _file_of(machine: str) -> str:
    return machine.partition(":")[0]


@dataclass(frozen=True)
class Host:
    """What a machine with a worker offers. ``closed_because`` says why it takes no new attempts, None when it does.

    A worker knows all of it but ``drain``: that is in the store, and outlasts the worker.
    """

    name: str
    slots: int
    queues: Collection[str]
    runner: str
    gpus: tuple[str, ...] = ()
    closed_because: QueueCode | None = None
    labels: tuple[str, ...] = ()
    drain: Drain | None = None
    machine: Machine | None = None  # None for older workers
    knows: frozenset[str] | None = None  # fields of requests, as shared.request_fields names them; None likewise

    def drained(self, drain: Drain | None) -> "Host":
        """The host as it is with what a person wants of it."""
        return self if drain is None else replace(self, drain=drain, closed_because=QueueCode.DRAINED)


@dataclass(frozen=True)
class QueuePosition:
    """Where a job stands: 1 is the next of its queue; ``blocking`` are ids of jobs that it waits for."""

    position: int
    code: QueueCode
    message: str
    blocking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A queued job, and what it asks for."""

    id: str
    queue: str
    key: str
    gpus: int
    priority: int
    queued_at: datetime
    wanted_host: str | None = None  # None: any
    wanted_labels: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()  # the fields that its request sets

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Smaller goes first: by priority, then age."""
        return -self.priority, self.queued_at, self.id

    def goes_before(self, other: "Waiting") -> bool:
        """Whether it starts first of one key's jobs: wherever the other one could start, it could too."""
        same = (self.key, self.queue) == (other.key, other.queue)
        as_free = self.wanted_host in (None, other.wanted_host) and self.wanted_labels in ((), other.wanted_labels)
        return same and as_free and self.gpus <= other.gpus and self.order < other.order

    def may_run_on(self, host: Host) -> bool:
        """Whether the host is what the job asks for, be it free or not."""
        return self.is_meant_for(host) and self.gpus <= len(host.gpus)

    def is_meant_for(self, host: Host) -> bool:
        """The same, for the host's name and labels, and what its worker knows, alone."""
        is_named = self.wanted_host in (None, host.name)
        return is_named and not self.missing_labels(host) and not self.unknown_to(host)

    def unknown_to(self, host: Host) -> list[str]:
        """The fields of its request that the host's worker does not know: it would leave out what they ask for."""
        return unknown_among(self.asks, host.knows) if host.knows is not None else []

    def missing_labels(self, host: Host) -> list[str]:
        """Those that the job asks for and the host does not have."""
        return [label for label in self.wanted_labels if label not in host.labels]


@dataclass(frozen=True)
class Running:
    """A supervised job, and what it holds."""

    id: str
    key: str
    host: str
    gpu_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Usage:
    """What counts when a job asks to start on a host. ``reserving`` are jobs that the host's GPUs are kept for."""

    of_key: int
    total: int
    on_host: Sequence[Running]
    is_behind: bool = False  # another job of its key goes before it
    reserving: Sequence[Waiting] = ()


def allot(job: Waiting, host: Host, *, usage: Usage, limits: Limits) -> tuple[str, ...] | QueueCode:
    """The GPU devices that the job starts with on this host, or what holds it back."""
    if usage.is_behind or usage.of_key >= limits.for_key(job.key):
        return QueueCode.KEY_LIMIT
    if limits.total is not None and usage.total >= limits.total:
        return QueueCode.TOTAL_LIMIT
    return allot_on_host(job, host, on_host=usage.on_host, reserving=usage.reserving)


def allot_on_host(
    job: Waiting, host: Host, *, on_host: Sequence[Running], reserving: Iterable[Waiting]
) -> tuple[str, ...] | QueueCode:
    """The same, for the limits of the host alone."""
    if host.closed_because is not None:
        return host.closed_because
    if not job.may_run_on(host):
        return QueueCode.NEWER_REQUEST if job.unknown_to(host) else QueueCode.NO_HOST_FITS
    if len(on_host) >= host.slots:
        return QueueCode.SLOTS
    free = free_gpus(host, on_host)
    if job.gpus > len(free):
        return QueueCode.GPUS
    if find_keeper(job, len(free), reserving) is not None:
        return QueueCode.GPUS_RESERVED
    return free[: job.gpus]


def free_gpus(host: Host, on_host: Iterable[Running]) -> tuple[str, ...]:
    """The devices that no supervised job on the host holds, in the host's order."""
    held = {device for job in on_host for device in job.gpu_ids}
    return tuple(device for device in dict.fromkeys(host.gpus) if device not in held)


def find_keeper(job: Waiting, free: int, reserving: Iterable[Waiting]) -> Waiting | None:
    """A job that this one's start would set back: it is ahead, needs more devices, and more than would be left.

    One that needs as many is not: it could have started in this one's place.
    """
    if job.gpus == 0:
        return None
    needs = max(job.gpus, free - job.gpus)
    return next((other for other in reserving if other.gpus > needs and other.order < job.order), None)


def reserved_on(host: Host, long_waiting: Iterable[Waiting], live: Collection[Host]) -> list[Waiting]:
    """Those of the jobs for which this host's GPUs are kept: each has them kept on one host, the largest."""
    return [job for job in long_waiting if _reserved_host(job, live) == host.name]


def _reserved_host(job: Waiting, live: Iterable[Host]) -> str | None:
    fitting = (
        host for host in live if host.closed_because is None and job.queue in host.queues and job.may_run_on(host)
    )
    largest = min(fitting, key=lambda host: (-len(host.gpus), host.name), default=None)
    return largest.name if largest else None


def with_host(live: Iterable[Host], host: Host) -> list[Host]:
    """The live hosts, this one as it says that it is now."""
    return [*(other for other in live if other.name != host.name), host]


@dataclass
class Sending:
    """Chooses, of jobs that are offered in their order, those that a host could start now.

    ``busy`` counts by key, and ``total`` in all, what is supervised or has a message under way.
    """

    host: Host
    limits: Limits
    on_host: list[Running]
    busy: Counter[str]
    total: int
    reserving: Sequence[Waiting]
    chosen: list[str] = field(default_factory=list)
    held_keys: set[str] = field(default_factory=set)
    refused_gpus: set[int] = field(default_factory=set)  # so many are refused to all that follow
    refused_labels: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be chosen."""
        is_full = self.limits.total is not None and self.total >= self.limits.total
        return is_full or len(self.on_host) >= self.host.slots or self.host.closed_because is not None

    def offer(self, job: Waiting) -> None:
        """Choose the job, unless something holds it back."""
        if self.is_over or job.key in self.held_keys or job.gpus in self.refused_gpus:
            return
        if not job.is_meant_for(self.host):
            self.refused_labels |= {job.wanted_labels} if job.missing_labels(self.host) else set()
            return
        usage = Usage(self.busy[job.key], self.total, self.on_host, reserving=self.reserving)
        devices = allot(job, self.host, usage=usage, limits=self.limits)
        if devices is QueueCode.KEY_LIMIT:
            self.held_keys.add(job.key)
        elif isinstance(devices, QueueCode):
            self.refused_gpus.add(job.gpus)
        else:
            self._choose(job, devices)

    def _choose(self, job: Waiting, devices: tuple[str, ...]) -> None:
        self.chosen.append(job.id)
        self.on_host.append(Running(job.id, job.key, self.host.name, devices))
        self.busy[job.key] += 1
        self.total += 1
        self.reserving = [other for other in self.reserving if other.id != job.id]


def ends_of_lease(now: datetime) -> tuple[datetime, datetime]:
    """A lease is held if it ends after the first and not after the second.

    One that ends later was written before the clock was set back; waiting for it could take hours.
    """
    return now, now + timedelta(seconds=LONGEST_LEASE_SECONDS) + CLOCK_SLACK


@dataclass(frozen=True)
class Span:
    """When a message may be under way. One sent later than now is none: the machine's clock was set back."""

    since: datetime
    until: datetime

    @classmethod
    def around(cls, now: datetime, seconds: float) -> "Span":
        """That many seconds before and after; after, because on PostgreSQL another transaction's time may be later."""
        return cls(now - timedelta(seconds=seconds), now + timedelta(seconds=seconds))

    def holds(self, sent_at: datetime | None) -> bool:
        """Whether a message of that time may be under way."""
        return sent_at is not None and self.since <= sent_at <= self.until
