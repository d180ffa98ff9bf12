"""Decides which job may start on a host: limits by key, in total, by slots and by GPU, and who goes first. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.scheduling.gpus import find_keeper, free_gpus
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.waiting import Running, Waiting


@dataclass(frozen=True)
class Limits:
    """How much may run or wait at the same time. ``by_key``: pattern (``*``: anything) and limit; first match wins."""

    per_key: int = 1
    by_key: tuple[tuple[str, int], ...] = ()
    total: int | None = None
    reserve_gpus_after_seconds: float = 600
    waiting_per_caller: int | None = None  # jobs that wait, not attempts

    def for_key(self, key: str) -> int:
        """Return how many jobs of this key may run at the same time."""
        return next((limit for pattern, limit in self.by_key if _fits(pattern, key)), self.per_key)


def _fits(pattern: str, key: str) -> bool:
    """Return whether the key fits the pattern. Looks at each part only once, because keys come from requests."""
    first, *parts = pattern.split("*")
    if not parts:
        return key == first
    *inner, last = parts
    at, end = len(first), len(key) - len(last)
    if not (key.startswith(first) and key.endswith(last)):
        return False
    for part in inner:
        found = key.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


@dataclass(frozen=True)
class Usage:
    """What is in use when a job is to start on a host. ``reserving`` are the jobs that the host's GPUs are kept for."""

    of_key: int
    total: int
    on_host: Sequence[Running]
    is_behind: bool = False  # another job of its key goes before it
    reserving: Sequence[Waiting] = ()


def allot(job: Waiting, host: Host, *, usage: Usage, limits: Limits) -> tuple[str, ...] | QueueCode:
    """Return the GPU devices that the job starts with on this host, or what holds it back."""
    if usage.is_behind or usage.of_key >= limits.for_key(job.key):
        return QueueCode.KEY_LIMIT
    if limits.total is not None and usage.total >= limits.total:
        return QueueCode.TOTAL_LIMIT
    return allot_on_host(job, host, on_host=usage.on_host, reserving=usage.reserving)


def allot_on_host(
    job: Waiting, host: Host, *, on_host: Sequence[Running], reserving: Iterable[Waiting]
) -> tuple[str, ...] | QueueCode:
    """Return the same, by the limits of the host alone."""
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


@dataclass
class Sending:
    """Chooses, from jobs offered in order, those that a host could start now.

    ``busy`` (by key) and ``total`` count the jobs that are supervised or have a message under way.
    """

    host: Host
    limits: Limits
    on_host: list[Running]
    busy: Counter[str]
    total: int
    reserving: Sequence[Waiting]
    chosen: list[str] = field(default_factory=list)
    held_keys: set[str] = field(default_factory=set)
    refused_gpus: set[int] = field(default_factory=set)  # these numbers of GPUs are refused to all later jobs
    refused_labels: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Return whether nothing more can be chosen."""
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
