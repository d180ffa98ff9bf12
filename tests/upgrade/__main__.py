"""`python -m tests.upgrade`: an older version, this one and a later one work on one job store through an upgrade."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drill.report import say
from tests.support.servers.postgres import FAST, serving
from tests.upgrade import scenarios
from tests.upgrade.scenarios import Versions
from tests.upgrade.site import running_site
from tests.upgrade.versions import THIS, check_out, make_later

SCENARIOS = {each.__name__: each for each in (scenarios.forward, scenarios.together, scenarios.back)}


def main() -> int:
    """Go through the scenarios; 0 when everything held."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is given back
    folder = Path(tempfile.mkdtemp(prefix="upgrade-"))
    versions = Versions(check_out(options.old, folder / "old"), THIS, make_later(folder / "later"))
    is_over = False
    try:
        for name in options.only:
            _go_through(name, versions, folder / name, options)
        is_over = True
    finally:
        if is_over and not options.keep:
            shutil.rmtree(folder)
        say("passed" if is_over else f"FAILED; logs are in {folder}")
    return 0


def _go_through(name: str, versions: Versions, folder: Path, options: argparse.Namespace) -> None:
    began = time.monotonic()
    say(f"== {name}, from {versions.old.name}, {options.runner}, {options.store}")
    with _database(options.store) as url, running_site(folder, runner=options.runner, database_url=url) as site:
        SCENARIOS[name](site, versions)
    say(f"== {name}: {time.monotonic() - began:.0f} s")


@contextmanager
def _database(store: str) -> Iterator[str | None]:
    """An empty database's address; None for SQLite in the site's folder."""
    if store == "sqlite":
        yield None
        return
    with serving(*FAST) as server:
        yield server.url(server.create_database(migrated=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[*SCENARIOS], choices=[*SCENARIOS], help="these scenarios (all)")
    parser.add_argument("--old", default="1f42d56", help="the commit to upgrade from, 1f42d56 or later")
    parser.add_argument("--runner", choices=("process", "docker"), default="process", help="what trains (process)")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="the job store (sqlite)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs; it stays after a failure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
