"""`make screenshots`: serves an API with fixed jobs, and saves what chromium shows of its pages to docs/images."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from shared.scheduling.limits import Limits
from shared.sql import SqlStore
from tests.screenshots.jobs import fill
from tests.support.clocks import HeldClock
from tests.support.network.ports import free_port
from tests.support.servers.api_server import running_api
from tests.support.servers.odd_mlflow import odd_mlflow

FOLDER = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 150_000
SIZE = ViewportSize(width=1360, height=800)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]


@contextmanager
def served() -> Iterator[tuple[str, str]]:
    """Yield the address of the pages, and the id of the job to show."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as name, odd_mlflow() as mlflow:
        redis = f"redis://127.0.0.1:{free_port()}/0"
        with running_api(Path(name), REDIS_URL=redis, MLFLOW_TRACKING_URI=mlflow.served.url) as api:
            store = SqlStore(
                f"sqlite:///{Path(name) / 'jobs.db'}", limits=Limits(per_key=9), clock=(clock := HeldClock())
            )
            yield f"{api.url}/ui", fill(store, clock)
            store.close()


def save(page: Page, address: str, name: str) -> None:
    """Save what is seen at the address, in few colours, because that is enough for text."""
    page.goto(address)
    page.wait_for_timeout(1500)  # what a page loads later
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(FOLDER.parents[1])}: {size:,} bytes\n")
    if size > MOST_BYTES:
        raise SystemExit(f"{path} has more than {MOST_BYTES:,} bytes.")


def main() -> None:
    """Save all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with served() as (address, job_id), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport=SIZE, color_scheme="light", locale="en-GB", timezone_id="UTC")
        pages = {"jobs": "jobs", "job": f"jobs/{job_id}", "model": "models/iris", "workers": "workers"}
        pages |= {"trigger": "triggers/nightly"}
        for name, path in pages.items():
            save(page, f"{address}/{path}", f"page-{name}")
        browser.close()


if __name__ == "__main__":
    main()
