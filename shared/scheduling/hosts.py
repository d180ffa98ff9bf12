"""Hosts: the machine behind a name, what its worker offers, and whether it takes new attempts. Pure, no I/O."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

LIVE_SECONDS = 60.0  # a host that was silent for longer is not counted on


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


def with_host(live: Iterable[Host], host: Host) -> list[Host]:
    """The live hosts, this one as it says that it is now."""
    return [*(other for other in live if other.name != host.name), host]
