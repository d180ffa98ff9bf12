"""`make cost`: what an evaluation costs a job, and what the guard before MLflow does, measured on a real stack."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.cost import evaluation, guard, upload
from tests.cost.tables import say


def main() -> int:
    """Measure what is asked for, and print tables."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is given back
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with tempfile.TemporaryDirectory(prefix="cost-") as name:
        for what in options.what:
            folder = Path(name) / what
            folder.mkdir()
            say(f"\n{what}\n")
            if what == "evaluation":
                evaluation.measure(folder, options.examples, options.rounds)
            elif what == "guard":
                guard.measure(folder, options.rounds)
            else:
                upload.measure(folder, options.rounds, options.megabytes, process=options.process)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cost", description=__doc__)
    parser.add_argument("what", nargs="*", default=["evaluation", "guard", "upload"], help="evaluation, guard, upload")
    parser.add_argument("--examples", type=int, nargs="+", default=[1000, 100_000], help="scores of each model")
    parser.add_argument("--rounds", type=int, default=5, help="jobs, pairs of jobs, pairs of uploads (5)")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the artifact (1000)")
    parser.add_argument("--process", action="store_true", help="upload: by the guard as a process before MLflow")
    return parser


if __name__ == "__main__":
    sys.exit(main())
