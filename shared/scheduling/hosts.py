"""Defines a host: the machine behind its name, what its worker offers, and whether it takes new attempts. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

LIVE_SECONDS = 60.0  # a host that was silent for longer is not relied on


class QueueCode(StrEnum):
    """Why a job is queued, for programs."""

    NEXT = "NEXT"  # nothing is in its way
    NO_WORKER = "NO_WORKER"
    NEWER_REQUEST = "NEWER_REQUEST"  # no worker knows every field of the request
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
class Drain:
    """A person's wish that a host take no new attempts."""

    since: datetime
    reason: str


@dataclass(frozen=True)
class Machine:
    """The machine that has a host's name: it tells two machines of the same name apart.

    ``id`` stays the same when the worker restarts; its part after the colon changes when the machine restarts.
    ``engine`` stays as long as Docker's data does; None if it is not known yet, or there is none. ``says`` is for
    people.
    """

    id: str
    engine: str | None = None
    says: str = ""

    def runs(self, *, machine: str | None, engine: str | None) -> bool:
        """Return whether an attempt begun on that machine and engine is here; older workers recorded neither."""
        return machine is None or (machine == self.id and engine in (None, self.engine))

    def may_have_run(self, *, machine: str | None, engine: str | None) -> bool:
        """Return whether it may be here from before this machine was restarted; what is found here decides."""
        is_again = machine is not None and machine != self.id and _file_of(machine) == _file_of(self.id)
        return is_again and engine in (None, self.engine)


def _file_of(machine: str) -> str:
    return machine.partition(":")[0]


@dataclass(frozen=True)
class Host:
    """What a machine with a worker offers. ``closed_because`` says why it takes no new attempts; None if it does.

    A worker knows all of it except ``drain``, which is in the store and outlives the worker.
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
    knows: frozenset[str] | None = None  # fields of requests, as in shared.requests.fields; None likewise

    def drained(self, drain: Drain | None) -> "Host":
        """Return the host with a person's wish to drain it applied."""
        return self if drain is None else replace(self, drain=drain, closed_because=QueueCode.DRAINED)


def with_host(live: Iterable[Host], host: Host) -> list[Host]:
    """Return the live hosts, with this one as it describes itself now."""
    return [*(other for other in live if other.name != host.name), host]
