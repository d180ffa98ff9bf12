"""`make bench ARGS=soak`: 2,000 jobs through one stack, and what it holds afterwards that it did not before."""

import argparse
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import psutil

from tests.bench.report import line
from tests.bench.row import Options
from tests.bench.rows.jobs import Work, work_off, working
from tests.bench.rows.memory import parts, pss_mb

JOBS = 2000
WARM_UP = 500  # what the first jobs make for good is no leak: modules, statements, and the latest jobs' ids and records
AT_ONCE = 50
GROWTH = 1.05
SLOTS = 2
LEFT_BY_EACH_JOB = {
    *(f"rows of {table}" for table in ("jobs", "attempts", "transitions", "labels", "log_chunks", "audit")),
    "files in mlflow",
}
ON_PURPOSE = "PSS of valkey-server, MB"  # Celery keeps each result for a week


def main(arguments: Sequence[str] = ()) -> int:
    """Work off the jobs and print what each part holds before and after; 1 if something grew by more than 5 %."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"how many jobs ({JOBS})")
    parser.add_argument("--warm-up", type=int, default=WARM_UP, help=f"jobs before the first look ({WARM_UP})")
    asked = parser.parse_args(arguments)
    with working(SLOTS)(Options()) as work:
        _work_off(work, asked.warm_up)
        before = held(work, asked.warm_up)
        _work_off(work, asked.jobs)
        after = held(work, asked.warm_up + asked.jobs)
    _print(before, after)
    found = grown(before, after)
    print(f"\nGrew by more than 5 %: {'; '.join(found) or 'nothing'}.")
    return 1 if found else 0


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Return the names of what has grown by more than 5 %, but not on purpose, and of what was not there before."""
    return [name for name, value in after.items() if value > before.get(name, 0) * GROWTH and name != ON_PURPOSE]


def held(work: Work, jobs: int) -> dict[str, float]:
    """Return what the stack holds."""
    data = work.stack.data
    counted = {f"rows of {name}": count for name, count in rows(data / "jobs.db").items()}
    counted |= {f"files in {name}": count for name, count in files(data).items()}
    return {**dict(_of_processes(parts(work))), **by_the_job(counted, jobs)}


def by_the_job(counted: Mapping[str, int], jobs: int) -> dict[str, float]:
    """Count by the job what each job leaves on purpose, its record and its artifacts; the rest must not grow at all."""
    return {
        f"{name}, a job" if name in LEFT_BY_EACH_JOB else name: count / jobs if name in LEFT_BY_EACH_JOB else count
        for name, count in counted.items()
    }


def _of_processes(processes: Sequence[psutil.Process]) -> Iterator[tuple[str, float]]:
    numbers = Counter[str]()
    for process in processes:
        with suppress(psutil.Error):
            name = _name(process)
            numbers[name] += 1
            called = name if numbers[name] == 1 else f"{name} {numbers[name]}"
            yield f"PSS of {called}, MB", pss_mb([process])
            yield f"descriptors of {called}", process.num_fds()
            yield f"threads of {called}", process.num_threads()


def _name(process: psutil.Process) -> str:
    """Return the module that it runs, or its program."""
    command = process.cmdline()
    return command[2] if command[1:2] == ["-m"] else Path(command[0].split()[0]).name


def rows(database: Path) -> dict[str, int]:
    """Return how many rows each table has."""
    with closing(sqlite3.connect(database)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608


def files(data: Path) -> dict[str, int]:
    """Return how many files there are below each folder at the top of DATA_DIR, and beside those."""
    paths = (path.relative_to(data) for path in data.rglob("*") if path.is_file())
    return dict(Counter(path.parts[0] if len(path.parts) > 1 else "DATA_DIR itself" for path in paths))


def _work_off(work: Work, jobs: int) -> None:
    for begun in range(0, jobs, AT_ONCE):
        work_off(work, min(AT_ONCE, jobs - begun))
    work.settle()


def _print(before: Mapping[str, float], after: Mapping[str, float]) -> None:
    print(f"{line(('what', 'before', 'after'))}\n{line(('---', '---:', '---:'))}")
    for name, value in after.items():
        print(line((name, f"{before.get(name, 0):.4g}", f"{value:.4g}")))
