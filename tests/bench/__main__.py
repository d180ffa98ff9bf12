"""`make bench`: measure rows by name, each interleaved with its baseline; a table, and build/bench/results.json."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import budgets, soak, table, trace
from tests.bench.report import ROOT, TITLES, Result, commit, line, machine, write
from tests.bench.row import ALONE, JOBS, Options, Row, chosen, measured, stands_alone
from tests.bench.rows import ROWS

RESULTS = ROOT / "build" / "bench" / "results.json"

INSTEAD = dict(zip(ALONE, (trace.main, soak.main, table.main), strict=True))
EPILOG = (
    "In place of names: `trace` shows where the time of a job goes, `soak` sends 2,000 jobs through one stack, and "
    "`table FILE…` turns results into a Markdown table."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with --check, 1 if a row is over its budget."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] and words[0] in INSTEAD:
        if {row.name for row in ROWS} & set(words):
            return _refuse(stands_alone(words[0]))
        return INSTEAD[words[0]](words[1:])
    asked = _parser().parse_args(words)
    try:
        rows = chosen(ROWS, asked.rows)
    except ValueError as error:
        return _refuse(str(error))
    if asked.list:
        print("\n".join(f"{row.name:<18} {row.what}" for row in rows))
        return 0
    return _measure(rows, Options(asked.samples, asked.jobs), check=asked.check, output=asked.output)


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 2


def _measure(rows: Sequence[Row], options: Options, *, check: bool, output: Path) -> int:
    goals, results = budgets.load(), list[Result]()
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    print(f"commit {commit()}; {facts}\n\n{line(TITLES)}\n{line(('---',) * len(TITLES))}", flush=True)
    for row, summary in measured(rows, options):
        results.append(Result(row, summary, goals.get(row.name)))
        print(line(results[-1].cells()), flush=True)
        write(output, results)  # after each: a row that fails must not cost those before it
    missed = [each.row.name for each in results if each.is_missed]
    if missed:
        print(f"\nMore than 20 % over budget: {', '.join(missed)}.")
    return 1 if check and missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__, epilog=EPILOG)
    parser.add_argument("rows", nargs="*", help="names of rows; all of them if none is given")
    parser.add_argument("--list", action="store_true", help="list the rows and measure nothing")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a row is more than 20 %% over its budget")
    parser.add_argument("--samples", type=int, help="samples of each row, instead of its own number")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"jobs in the rows about a large store ({JOBS})")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results are written as JSON")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left running
    sys.exit(main())
