"""What reading costs at a million jobs, beside the same requests at a thousand."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.sql import SqlStore, schema
from tests.bench.http_client import connected, request
from tests.bench.report import ROOT
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.scale.history import History
from tests.support.network.ports import free_port
from tests.support.servers.api_server import running_api

FEW = 1000
KEPT = ROOT / "build" / "bench"
BASELINE = f"at {FEW} jobs"


@dataclass(frozen=True)
class TwoServices:
    """One with many jobs, one with few."""

    many_port: int
    few_port: int


@contextmanager
def two_services(options: Options) -> Iterator[TwoServices]:
    """Serve both meanwhile. The large store takes minutes to fill, so it is kept in build/bench."""
    many = KEPT / f"{options.jobs}-jobs"
    fill(many, options.jobs)
    nothing = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with tempfile.TemporaryDirectory(prefix="bench-") as few:
        fill(Path(few), FEW)
        with running_api(many, **nothing) as large, running_api(Path(few), **nothing) as small:
            yield TwoServices(large.port, small.port)


def fill(folder: Path, jobs: int) -> None:
    """Have a store with so many ended jobs there."""
    if (folder / "filled").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
    schema.upgrade(store)
    History(store).fill_ended(jobs)
    store.close()
    (folder / "filled").touch()


def _get(path: str) -> Callable[[TwoServices], Iterator[Sample]]:
    message = request(path)

    def measure(here: TwoServices) -> Iterator[Sample]:
        with connected(here.many_port) as ours, connected(here.few_port) as theirs:
            while True:
                yield Sample(ours.ask(message) * 1000, theirs.ask(message) * 1000)

    return measure


def _row(name: str, what: str, path: str) -> Row:
    return Row(name, what, "ms", BASELINE, two_services, _get(path), samples=50, warm_up=5)


ROWS = [
    _row("list-state", "50 failed of all jobs", "/jobs?state=failed&limit=50"),
    _row("list-state-label", "50 failed with a label", "/jobs?state=failed&label=team%3Dteam-7&limit=50"),
    _row("list-label", "50 with a label", "/jobs?label=team%3Dteam-7&limit=50"),
    _row("list-host", "50 of a host", "/jobs?host=gpu-of-the-past&limit=50"),
    _row("list-search", "50 found by a name", "/jobs?q=model-7&limit=50"),
    _row("metrics", "GET /metrics", "/metrics"),
]
