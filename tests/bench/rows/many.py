"""What reading costs at a million jobs, beside the same requests at a thousand."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.filled import KEPT, VOLUME, fill, filled_database
from tests.bench.http_client import connected, request
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.support.network.ports import free_port
from tests.support.servers.api_server import running_api
from tests.support.servers.postgres import serving

FEW = 1000
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


@contextmanager
def two_services_on_postgresql(options: Options) -> Iterator[TwoServices]:
    """Serve the same from one PostgreSQL server, whose data is kept in a volume of the engine."""
    with serving(volume=VOLUME.format(options.jobs)) as server, ExitStack() as stack:

        def serve(jobs: int) -> int:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            given = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "DATABASE_URL": filled_database(server, jobs)}
            return stack.enter_context(running_api(folder, **given)).port

        yield TwoServices(serve(options.jobs), serve(FEW))


def _get(path: str) -> Callable[[TwoServices], Iterator[Sample]]:
    message = request(path)

    def measure(here: TwoServices) -> Iterator[Sample]:
        with connected(here.many_port) as ours, connected(here.few_port) as theirs:
            while True:
                yield Sample(ours.ask(message) * 1000, theirs.ask(message) * 1000)

    return measure


PLACES = {"": two_services, "-postgresql": two_services_on_postgresql}
REQUESTS = [
    ("list-state", "50 failed of all jobs", "/jobs?state=failed&limit=50"),
    ("list-state-label", "50 failed with a label", "/jobs?state=failed&label=team%3Dteam-7&limit=50"),
    ("list-label", "50 with a label", "/jobs?label=team%3Dteam-7&limit=50"),
    ("list-host", "50 of a host", "/jobs?host=gpu-of-the-past&limit=50"),
    ("list-search", "50 found by a name", "/jobs?q=model-7&limit=50"),
    ("metrics", "GET /metrics", "/metrics"),
]
ROWS = [
    Row(name + database, what, "ms", BASELINE, place, _get(path), samples=50, warm_up=5)
    for database, place in PLACES.items()
    for name, what, path in REQUESTS
]
