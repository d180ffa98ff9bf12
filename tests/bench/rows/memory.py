"""What an idle service holds: PSS, which counts each shared page once."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress

import psutil

from tests.bench.bare_server import running_bare_server, running_bare_worker
from tests.bench.row import Row
from tests.bench.rows.jobs import Work, work_off, working
from tests.bench.samples import Sample
from tests.support.servers.valkey import running_valkey

BARE = "Flask + Celery + Valkey"
JOBS = 120
AT_ONCE = 20
IDLE_SECONDS = 5.0  # what starts has started, what was freed is given back
PARTS = ("api", "worker", "deploy.one_machine.valkey", "valkey-server")


def pss_mb(processes: Sequence[psutil.Process]) -> float:
    """Megabytes of all these together; one that ends meanwhile holds nothing."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


def _is_part(process: psutil.Process) -> bool:
    """Whether it is the API, the worker or Valkey, and not what reads their output."""
    with suppress(psutil.Error):
        command = process.cmdline()
        return any(part in command[2:3] or part in command[0] for part in PARTS)
    return False


def parts(work: Work) -> list[psutil.Process]:
    """Return the processes of API, worker and Valkey."""
    return [process for process in work.stack.processes() if _is_part(process)]


def _core(work: Work) -> Iterator[Sample]:
    time.sleep(IDLE_SECONDS)
    while True:
        yield Sample(pss_mb(parts(work)), _bare())


def _core_after_jobs(work: Work) -> Iterator[Sample]:
    for _ in range(JOBS // AT_ONCE):
        work_off(work, AT_ONCE)
    work.settle()
    return _core(work)


def _all(work: Work) -> Iterator[Sample]:
    assert work.stack.process is not None
    time.sleep(IDLE_SECONDS)
    while True:
        processes = work.stack.processes()
        servers = [process for process in processes if _is_mlflow(process)]
        yield Sample(pss_mb(processes), pss_mb(servers))


def _is_mlflow(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "mlflow" in " ".join(process.cmdline())
    return False


def _bare() -> float:
    """Megabytes of a bare Flask app, a Celery worker and Valkey."""
    with ExitStack() as stack:
        valkey = stack.enter_context(running_valkey())
        server = stack.enter_context(running_bare_server(valkey.url))
        worker = stack.enter_context(running_bare_worker(valkey.url))
        time.sleep(IDLE_SECONDS)
        return pss_mb([psutil.Process(pid) for pid in (valkey.pid, server.pid, worker)])


idle = working(2)  # a stack of their own: fresh
ROWS = [
    Row("memory-fresh", "idle API, worker and Valkey", "MB", BARE, idle, _core, samples=1, warm_up=0),
    Row("memory-up", "idle `make up`, all processes", "MB", "its MLflow server", idle, _all, samples=3, warm_up=0),
    Row("memory-120", f"the same three after {JOBS} jobs", "MB", BARE, idle, _core_after_jobs, samples=1, warm_up=0),
]
