"""`python -m worker`: runs the sweep, the heartbeat and the alerts in threads, and Celery for the jobs."""

import argparse
import logging
import os
import shutil
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_shutting_down

from shared import logs
from shared.errors import RetrainError, StoreUnavailable
from shared.live_secrets import environment
from shared.own_files import close_to_others, keep_files_private
from shared.proxies import go_directly_to_own_parts
from shared.queue import celery_queues
from shared.scheduling.hosts import Machine
from shared.settings import Settings
from shared.sql import SqlStore, schema
from worker.composition import WorkerProcess, build_process
from worker.host.machine import only_worker_here
from worker.metrics.worker_metrics import WorkerMetrics
from worker.runners.registry import worker_redactor
from worker.tasks import celery_name
from worker.tracking.client import configure_client

logger = logging.getLogger(__name__)

STOP_SECONDS = 5
STORE_PAUSE_SECONDS = 5


def main() -> int:
    """Run a worker until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Run training jobs on this host. On SIGTERM it leaves its containers running for the next worker.",
        epilog="Settings come from the environment and .env; docs/reference/settings.md lists them.",
    )
    parser.parse_args()
    try:
        settings = Settings.load()
        keep_files_private()
        close_to_others(settings.data_dir)
        go_directly_to_own_parts(os.environ, settings)
        variables = environment()
        logs.configure(settings.log_level, settings.log_format, worker_redactor(settings, variables))
        os.environ.update(settings.tracking_credentials())  # MLflow's client reads them only there
        configure_client(os.environ)
        # Celery warns root of messages that run code. Ours are JSON; who runs as root has decided that.
        warnings.filterwarnings("ignore", category=SecurityWarning)
        with only_worker_here(settings) as machine:
            return _run(settings, variables, machine)
    except RetrainError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(settings: Settings, variables: Mapping[str, str], machine: Machine) -> int:
    stopping = threading.Event()
    process = build_process(settings, variables, stopping, machine)
    parts = process.parts
    shutil.rmtree(parts.finishing.scratch, ignore_errors=True)
    serve_metrics(process.metrics, settings)
    _start(stopping, guard=parts.heartbeat.guard_until)
    _wait_for_store(process.store)
    parts.here.look_around()
    parts.heartbeat.take_name()
    return _work(process, settings, stopping)


def serve_metrics(metrics: WorkerMetrics, settings: Settings) -> None:
    """Serve the worker's own metrics, if it has a port for them."""
    if settings.worker_metrics_port:
        metrics.serve(settings.worker_metrics_host, settings.worker_metrics_port)


def _wait_for_store(store: SqlStore) -> None:
    """Wait for an unavailable store instead of ending: something must freeze the training here meanwhile."""
    while True:
        try:
            schema.check(store)
        except StoreUnavailable as error:
            logger.warning("waiting for the job store", extra={"cause": error.message})
            time.sleep(STORE_PAUSE_SECONDS)
        else:
            return


def _start(stopping: threading.Event, **loops: Callable[[threading.Event], None]) -> list[threading.Thread]:
    """Start a thread for each loop."""
    threads = [threading.Thread(target=loop, args=(stopping,), name=name, daemon=True) for name, loop in loops.items()]
    for thread in threads:
        thread.start()
    return threads


def _work(process: WorkerProcess, settings: Settings, stopping: threading.Event) -> int:
    @worker_shutting_down.connect(weak=False)
    def on_shutdown(**_signal: Any) -> None:
        stopping.set()

    if settings.log_format == "json":
        _print_nothing()
    parts = process.parts
    loops = {"beat": parts.heartbeat.beat_until, "sweep": parts.sweep.run_until, "alerts": process.alerts.run_until}
    loops |= {"look": parts.looking.run_until, "triggers": parts.triggers.run_until}
    threads = _start(stopping, disk=parts.disk_watch.watch_until, **loops)
    _start(stopping, cards=parts.cards.run_until)  # not waited for: a card is not worth a later end
    put_nothing_back()
    try:
        process.celery.Worker(**options_of(settings, slots=parts.here.slots)).start()
    finally:
        stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        process.removals.wait(max(0, deadline - time.monotonic()))
    return 1 if parts.heartbeat.is_refused else 0


def _print_nothing() -> None:
    """Keep output that bypasses logging out of the lines of JSON: MLflow's run addresses, Celery's "Warm shutdown"."""
    sys.stdout, sys.__stdout__ = logs.Stray(logging.INFO), None  # type: ignore[misc]
    setup_logging.connect(lambda **_signal: None, weak=False)  # otherwise Celery installs handlers of its own


def options_of(settings: Settings, *, slots: int) -> dict[str, Any]:
    """Return the Celery worker's options, as its command line would have them.

    That would load what it needs for a terminal, and the command of every package that is installed beside: 15 MB.
    """
    return {
        "hostname": celery_name(settings),
        "pool_cls": "threads",
        "concurrency": slots,
        "queues": celery_queues(settings),
        "task_events": True,
        "loglevel": logging.getLevelNamesMapping()[settings.log_level],
        "no_color": False,
        "without_mingle": True,  # workers coordinate in the store, not through Redis
        "without_gossip": True,
        "quiet": True,  # a banner is not JSON, and tells people nothing that the log does not
    }


def put_nothing_back() -> None:
    """Let kombu leave a message that was held when Redis went away: the sweep sends it again.

    kombu would put it back on a connection that it has closed already, and the error ends the worker.
    """
    from kombu.transport.redis import Channel  # noqa: PLC0415 - not before shared.redis_client

    Channel.do_restore = False


def end(code: int) -> NoReturn:
    """End at once: a normal exit takes Python seconds, in which nobody supervises the training.

    Nor does it wait for the thread of an interrupted preparation.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
