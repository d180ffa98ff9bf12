"""`python -m tests.drill`: break everything, again and again; nothing may be lost and nothing may happen twice."""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.drill.drill import run_drill
from tests.drill.report import say

SERVICE_KINDS = ("worker", "API", "Redis", "messages", "MLflow", "database")
KINDS = (*SERVICE_KINDS, "decision", "Docker daemon", "container", "disk full", "clock", "greedy training")


def main() -> int:
    """Run the drill; 0 when everything held."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is given back
    folder = Path(tempfile.mkdtemp(prefix="drill-"))
    say(f"drill of {options.faults} faults, seed {options.seed}, store {options.store}, in {folder}")
    code = 1
    try:
        code = run_drill(
            folder, faults=options.faults, seed=options.seed, store=options.store, only=tuple(options.kinds)
        )
    finally:
        if not (options.keep or code):
            shutil.rmtree(folder)
    say(f"{'passed' if code == 0 else 'FAILED'}. The same again: {_command(options)}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--faults", type=count, default=30, help="how many faults, spread evenly over the kinds (30)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same faults in the same order (1)")
    parser.add_argument("--kinds", nargs="+", default=[], choices=KINDS, metavar="KIND", help=f"only these of {KINDS}")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="the job store (sqlite)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with all logs; it stays after a failure")
    return parser


def count(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least one: a drill without faults shows nothing")
    return number


def _command(options: argparse.Namespace) -> str:
    kinds = "".join(f" '{kind}'" for kind in options.kinds)
    arguments = f"--faults {options.faults} --seed {options.seed} --store {options.store}"
    return f"python -m tests.drill {arguments}" + (f" --kinds{kinds}" if kinds else "")


if __name__ == "__main__":
    sys.exit(main())
