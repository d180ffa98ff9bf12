"""`make scale`: what one database carries as hosts and jobs grow. Real store and sweep on a real one; no training."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.scale.databases import open_database
from tests.scale.load import Cell, Load, titles
from tests.scale.timing import row

HOSTS = (1, 10, 100, 1000)
ENDED = (10, 1000, 100_000, 1_000_000)
QUEUED = (10,)


def main() -> int:
    """Measure each cell of the grid, and print a table."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server is removed
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder, open_database(options.store) as database:
        load = Load(database, Path(folder), clients=options.clients, turns=options.turns)
        _print(row(titles()))
        _print(row(["---:"] * len(titles())))
        for ended in sorted(options.jobs):
            for queued in sorted(options.queued):
                for hosts in sorted(options.hosts):
                    _print(load.measure(Cell(ended, hosts, queued)))
                    failed = sum(map(len, load.fleet.timings.failures.values()))
                    sys.stderr.write(f"{time.monotonic() - began:.0f} s, calls that failed: {failed}\n")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.scale", description=__doc__)
    parser.add_argument(
        "--hosts", type=_positive, nargs="+", default=HOSTS, help="how many hosts, one table row for each"
    )
    parser.add_argument("--jobs", type=_positive, nargs="+", default=ENDED, help="how many ended jobs")
    parser.add_argument("--queued", type=_positive, nargs="+", default=QUEUED, help="how many jobs that wait")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--clients", type=_positive, default=2, help="connections that act for the hosts in turn (2)")
    parser.add_argument(
        "--turns", type=_positive, default=200, help="turns of hosts that are measured in each row (200)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
