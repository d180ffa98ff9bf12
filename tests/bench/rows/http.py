"""What requests cost, beside the least that takes work over HTTP (tests.bench.bare), on the same Redis server."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.sql import SqlStore, schema
from tests.bench.bare import make_celery
from tests.bench.bare_server import running_bare_server
from tests.bench.http_client import answers_per_second, connected, request
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.support.jobs import a_host, ended, submit
from tests.support.servers.api_server import running_api
from tests.support.servers.postgres import serving
from tests.support.servers.valkey import running_valkey

BARE = "Flask + Celery delay()"
BARE_READ = "Flask + Celery AsyncResult"
BODY = json.dumps({"experiment_name": "bench", "git_uri": "https://git.example/bench.git", "parameters": {"a": 1}})
SUBMIT = request("/retrain", BODY.encode())
WINDOW_SECONDS = 2.0
WAITING = 2000
ASKED = 200  # of those that wait


@dataclass(frozen=True)
class Service:
    """Our API and the bare one, each with its store."""

    port: int
    bare_port: int
    store: SqlStore
    bare_redis_url: str

    def rates(self, ours: Sequence[bytes], theirs: Sequence[bytes], *, clients: int) -> Iterator[Sample]:
        """Yield answers a second, ours and theirs in turn."""
        while True:
            yield Sample(
                answers_per_second(self.port, ours, clients=clients, seconds=WINDOW_SECONDS),
                answers_per_second(self.bare_port, theirs, clients=clients, seconds=WINDOW_SECONDS),
            )

    def bare_result(self) -> bytes:
        """Return a request for a task of the bare app that has ended."""
        with make_celery(self.bare_redis_url) as celery:
            celery.backend.store_result("ended", "done", "SUCCESS")
        return request("/jobs/ended")


@contextmanager
def service(_: Options) -> Iterator[Service]:
    """Serve both meanwhile, ours on SQLite."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        schema.upgrade(store := SqlStore(f"sqlite:///{Path(name) / 'jobs.db'}"))
        with _serving_both(Path(name), store) as here:
            yield here


@contextmanager
def service_on_postgresql(_: Options) -> Iterator[Service]:
    """Serve both meanwhile, ours on PostgreSQL as its image is set."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, serving() as server:
        url = server.url(server.create_database())
        with _serving_both(Path(name), SqlStore(url), DATABASE_URL=url) as here:
            yield here


@contextmanager
def _serving_both(folder: Path, store: SqlStore, **variables: str) -> Iterator[Service]:
    with running_valkey() as valkey:
        bare_url = valkey.url.replace("/0", "/1")
        with running_api(folder, REDIS_URL=valkey.url, **variables) as api, running_bare_server(bare_url) as bare:
            store.beat(a_host(), gap_seconds=3600)
            yield Service(api.port, bare.port, store, bare_url)
            store.close()


@contextmanager
def crowded_service(options: Options) -> Iterator[Service]:
    """Let many jobs wait in the service."""
    with service(options) as here:
        for _ in range(WAITING):
            submit(here.store)
        yield here


def _read_ended(here: Service) -> Iterator[Sample]:
    return here.rates([request(f"/jobs/{ended(here.store)}")], [here.bare_result()], clients=16)


def _read_queued(here: Service) -> Iterator[Sample]:
    waiting = [submit(here.store) for _ in range(ASKED)]
    return here.rates([request(f"/jobs/{each}") for each in waiting], [here.bare_result()], clients=16)


def _submit(here: Service) -> Iterator[Sample]:
    with connected(here.port) as ours, connected(here.bare_port) as theirs:
        while True:
            yield Sample(ours.ask(SUBMIT) * 1000, theirs.ask(SUBMIT) * 1000)


def _submits(here: Service) -> Iterator[Sample]:
    return here.rates([SUBMIT], [SUBMIT], clients=64)


def _rows(suffix: str, place: Callable[[Options], AbstractContextManager[Service]]) -> Iterator[Row]:
    slow = {"samples": 7, "warm_up": 1}
    yield Row(f"read-ended{suffix}", "GET an ended job, 16 clients", "/s", BARE_READ, place, _read_ended, **slow)
    yield Row(f"submit{suffix}", "POST /retrain, one client", "ms", BARE, place, _submit, samples=300, warm_up=50)
    yield Row(f"submits-64{suffix}", "POST /retrain, 64 clients", "/s", BARE, place, _submits, **slow)


ROWS = [
    *_rows("", service),
    Row(
        "read-queued",
        f"GET a queued job, {WAITING} waiting, 16 clients",
        "/s",
        BARE_READ,
        crowded_service,
        _read_queued,
        samples=7,
        warm_up=1,
    ),
    *_rows("-postgresql", service_on_postgresql),
]
