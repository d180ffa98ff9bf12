"""One row of the table: so many ended jobs, hosts and waiting jobs, and how the store answers then."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path
from time import perf_counter

from shared.jobs.model import JobState
from shared.jobs.records import JobFilter
from tests.scale.databases import Loaded
from tests.scale.fleet import Fleet, PretendedHost
from tests.scale.history import History, a_job
from tests.scale.timing import row

SLOTS = 2
PAGE = 50
SLOW = 0.95
MEASURED = ("claimed", "take_sendable", "beat", "sweep", "find_queue_position", "list", "submit")
QUEUED_ONLY = JobFilter(states=frozenset({JobState.QUEUED}))
FEW = 5
NEW_JOBS = 1_000_000  # their models' numbers begin here


@dataclass(frozen=True)
class Cell:
    """How much there is."""

    ended: int
    hosts: int
    queued: int


def titles() -> list[str]:
    """What the columns are."""
    times = [f"{name}, ms" for name in MEASURED]
    return [
        "ended",
        "hosts",
        "queued",
        "claimed alone, ms",
        *times,
        "statistics, ms",
        "claims/s",
        "CPU of a job, ms",
        "CPU of a sweep, ms",
        "CPU of a look for alerts, ms",
        "size, MB",
        "claimed alone beside a backup, ms",
    ]


class Load:
    """A fleet that grows on one database."""

    def __init__(self, database: Loaded, folder: Path, *, clients: int, turns: int) -> None:
        self._database = database
        self._ticket_lock = turns
        self._history = History(database.store)
        self.fleet = Fleet(database.store, folder, slots=SLOTS, clients=clients)
        self._numbers = count()

    def measure(self, cell: Cell) -> str:
        """Fill the database, start the hosts, let them work, and return the row."""
        self._prepare(cell)
        waiting = [job.id for job in self.fleet.store.list(QUEUED_ONLY, limit=PAGE)]
        quiet = self._cpu_of(lambda host: host.watch())
        alerts = self._cpu_of(lambda host: host.look_for_alerts())
        alone = self._claim_alone(waiting)
        claimed, began = len(self.fleet.claims), perf_counter()
        busy = self._cpu_of(lambda host: self._turn(host, waiting))
        claims_per_second = (len(self.fleet.claims) - claimed) / (perf_counter() - began)
        for _ in range(FEW):
            self.fleet.store.get_statistics()
        times = [self._shown(name) for name in MEASURED]
        costs = [f"{cpu:.1f}" for cpu in (busy - quiet, quiet, alerts)]
        times.append(self._shown("get_statistics"))
        size = f"{self._database.size_bytes() / 1e6:.0f}"
        rest = [f"{claims_per_second:.0f}", *costs, size, self._claim_beside_a_backup(waiting)]
        return row([cell.ended, cell.hosts, cell.queued, alone, *times, *rest])

    def _prepare(self, cell: Cell) -> None:
        """Half of each host's slots are in use."""
        self._history.fill_ended(cell.ended)
        self.fleet.resize(cell.hosts)
        for _ in range(cell.hosts - sum(len(host.running) for host in self.fleet.hosts)):
            self._submit()
        self.fleet.all_do(self.fleet.hosts, lambda host: host.work_off(slots=SLOTS // 2))
        self._history.fill_queued(cell.queued)
        self._database.settle()

    def _claim_alone(self, waiting: list[str]) -> str:
        """The time of a claim when one client acts for the hosts. What was timed before is forgotten, and it too."""
        self.fleet.timings.seconds.clear()
        for host in self._in_turn():
            self._turn(host, waiting)
        alone = self._shown("claimed")
        self.fleet.timings.seconds.clear()
        return alone

    def _claim_beside_a_backup(self, waiting: list[str]) -> str:
        """The same while a snapshot is open that is as old as so many turns: what they changed cannot be tidied up."""
        with self._database.snapshot():
            self._claim_alone(waiting)
            return self._claim_alone(waiting)

    def _turn(self, host: PretendedHost, waiting: list[str]) -> None:
        host.watch()
        self._submit()
        host.end_one()
        host.work_off(slots=SLOTS)
        self.fleet.store.list(JobFilter(), limit=PAGE)
        self.fleet.store.find_queue_position(waiting[len(self.fleet.claims) % len(waiting)])

    def _submit(self) -> None:
        self.fleet.messages.send(self.fleet.store.submit(a_job(NEW_JOBS + next(self._numbers))).job)

    def _cpu_of(self, act: Callable[[PretendedHost], None]) -> float:
        """Milliseconds of the database's CPU for what one host does."""
        hosts = self._in_turn()
        before = self._database.cpu_seconds()
        self.fleet.all_do(hosts, act)
        return (self._database.cpu_seconds() - before) / len(hosts) * 1000

    def _in_turn(self) -> list[PretendedHost]:
        return list(islice(cycle(self.fleet.hosts), self._ticket_lock))

    def _shown(self, name: str) -> str:
        middle, slow = (self.fleet.timings.milliseconds(name, part) for part in (0.5, SLOW))
        return f"{middle:.1f} / {slow:.1f}"
