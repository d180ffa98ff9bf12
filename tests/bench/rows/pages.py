"""What each page costs, in a store with no job, with some and with a million: its time, and the bytes that it takes."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from api.ui.page import Page
from api.ui.pages import found_pages
from shared.jobs.records import JobFilter
from shared.sql import SqlStore
from tests.bench.filled import KEPT, fill
from tests.bench.http_client import connected, request
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.support.jobs import ended
from tests.support.network.ports import free_port
from tests.support.servers.api_server import running_api
from tests.support.servers.odd_mlflow import odd_mlflow

SOME = 10_000
BASELINE = "without jobs"
HTML_ALONE = "its HTML alone"
FILES = re.compile(r'(?:src|href)="(/ui/static/[^"]+)"')


@dataclass(frozen=True)
class Shown:
    """One service, and what there is to show."""

    port: int
    words: Mapping[str, str]  # for what pages' paths name

    def address(self, page: Page) -> str:
        """Return the page's address, without the host."""
        return "/ui" + re.sub(r"<(\w+)>", lambda found: self.words[found[1]], page.path)


@dataclass(frozen=True)
class Services:
    """By how many jobs they have."""

    none: Shown
    some: Shown
    many: Shown


@contextmanager
def services(options: Options) -> Iterator[Services]:
    """Serve all three meanwhile, with a registry of models that answers at once."""
    with ExitStack() as stack:
        mlflow = stack.enter_context(odd_mlflow())
        nothing = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "MLFLOW_TRACKING_URI": mlflow.served.url}

        def serve(folder: Path, jobs: int) -> Shown:
            fill(folder, jobs)
            api = stack.enter_context(running_api(folder, **nothing))
            return Shown(api.port, {"job_id": _any_job(folder), "model": "iris"})

        empty = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        yield Services(
            serve(empty, 0), serve(KEPT / f"{SOME}-jobs", SOME), serve(KEPT / f"{options.jobs}-jobs", options.jobs)
        )


def _any_job(folder: Path) -> str:
    store = SqlStore(f"sqlite:///{folder / 'jobs.db'}")
    try:
        found = store.list(JobFilter(), limit=1)
        return found[0].id if found else ended(store)
    finally:
        store.close()


def _time(page: Page, of: Callable[[Services], Shown]) -> Callable[[Services], Iterator[Sample]]:
    def measure(here: Services) -> Iterator[Sample]:
        shown = of(here)
        ours, theirs = request(shown.address(page)), request(here.none.address(page))
        with connected(shown.port) as many, connected(here.none.port) as none:
            while True:
                yield Sample(many.ask(ours) * 1000, none.ask(theirs) * 1000)

    return measure


def _bytes(page: Page) -> Callable[[Services], Iterator[Sample]]:
    def measure(here: Services) -> Iterator[Sample]:
        while True:
            html = requests.get(f"http://127.0.0.1:{here.many.port}{here.many.address(page)}", timeout=60)
            html.raise_for_status()
            files = {each for each in FILES.findall(html.text) if urlsplit(each).path}
            sizes = [
                len(requests.get(f"http://127.0.0.1:{here.many.port}{each}", timeout=60).content) for each in files
            ]
            yield Sample((len(html.content) + sum(sizes)) / 1000, len(html.content) / 1000)

    return measure


def _rows() -> Iterator[Row]:
    known = {"job_id", "model"}
    for page in sorted(found_pages(), key=lambda each: each.path):
        is_shown = page.method == "GET" and page.view.__annotations__["return"] in (str, "str")
        if not is_shown or not set(re.findall(r"<(\w+)>", page.path)) <= known:
            continue
        name, what = f"page-{page.name.replace('_', '-')}", f"GET /ui{page.path}"
        usual = {"place": services, "samples": 20, "warm_up": 3}
        yield Row(f"{name}-{SOME}", f"{what}, {SOME:,} jobs", "ms", BASELINE, measure=_time(page, _some), **usual)  # type: ignore[arg-type]
        yield Row(name, f"{what}, 1,000,000 jobs", "ms", BASELINE, measure=_time(page, _many), **usual)  # type: ignore[arg-type]
        yield Row(
            f"{name}-kb", f"{what}, with all files", "kB", HTML_ALONE, services, _bytes(page), samples=1, warm_up=0
        )


def _some(here: Services) -> Shown:
    return here.some


def _many(here: Services) -> Shown:
    return here.many


ROWS = [*_rows()]
