"""`python -m worker`: builds its parts, sweeps and sends alerts in threads of their own, and gives Celery the rest."""

import argparse
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery
from celery.signals import setup_logging, worker_shutting_down

from shared import logs
from shared.alerts.model import Channel
from shared.errors import RetrainError, StoreUnavailable
from shared.live_secrets import environment, redactor_of
from shared.own_files import close_to_others, keep_files_private
from shared.queue import CeleryQueue, celery_queues, make_celery
from shared.scheduling.hosts import Machine
from shared.settings import Settings
from shared.sql import SqlStore, schema
from worker.alerts.registry import channels_of
from worker.alerts.sender import AlertSender
from worker.attempt.finishing import Finishing
from worker.attempt.log_keeper import log_bounds
from worker.attempt.preparation import Preparation
from worker.attempt.supervision import Supervisor
from worker.host.disk import DiskGuard
from worker.host.disk_watch import DiskWatch, Verdicts
from worker.host.heartbeat import Heartbeat
from worker.host.machine import only_worker_here
from worker.host.offer import HostOffer
from worker.metrics.counted_store import CountedStore
from worker.metrics.worker_metrics import WorkerMetrics
from worker.runners.docker.pulled_images import PulledImages
from worker.runners.docker.runner import DockerRunner
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import Runner
from worker.source.checkout import GitSource
from worker.source.limits import SourceLimits
from worker.sweep.cleaning import Cleaning
from worker.sweep.sweep import Active, Sweep
from worker.tasks import TaskRunner, register_task, report_to
from worker.tracking.client import Tracking, configure_client

logger = logging.getLogger(__name__)

STOP_SECONDS = 5
STORE_PAUSE_SECONDS = 5


@dataclass(frozen=True)
class Parts:
    """What runs in a thread of its own, or must be asked before anything runs."""

    store: SqlStore
    celery: Celery
    here: HostOffer
    sweep: Sweep
    heartbeat: Heartbeat
    disk_watch: DiskWatch
    alerts: AlertSender
    metrics: WorkerMetrics


def build(settings: Settings, environment: Mapping[str, str], stopping: threading.Event, machine: Machine) -> Parts:
    """Put the worker's parts together."""
    metrics = WorkerMetrics(settings.worker_queues, {*Channel, *settings.alert_channels})
    store = CountedStore(settings.store_url, metrics, limits=settings.limits, alerting=settings.alerting)
    celery = make_celery(settings, with_results=True)
    source = GitSource(
        settings.data_dir / "mirrors",
        settings.data_dir / "work" / settings.worker_host,
        allowed_schemes=settings.git_schemes,
        allowed_hosts=settings.git_hosts,
        private_networks=settings.git_private_networks,
        # Half of the mark: at the mark itself no attempt starts any more, and the sweep makes room.
        limits=SourceLimits(settings.source_max_files, settings.source_max_bytes, settings.disk_low_bytes // 2),
    )
    pulled = PulledImages(settings.data_dir / f"pulled-images-{settings.worker_host}.json")
    runner, tracking, active = _runner(settings, environment, pulled), Tracking(settings.mlflow_tracking_uri), Active()
    here = HostOffer(settings, runner, machine)
    preparation = Preparation(settings, store, source, tracking, runner, environment, here)
    finishing = Finishing(settings, store, runner, tracking, stopping)
    shutil.rmtree(finishing.scratch, ignore_errors=True)
    verdicts = Verdicts()
    supervisor = Supervisor(
        settings, store, settings.vault(), preparation, runner, finishing, stopping, verdicts=verdicts
    )
    metrics.show_look(lambda: here.seen_at)
    sweep = Sweep(
        settings,
        store,
        CeleryQueue(settings, preparation.redactor),
        runner,
        source,
        active,
        here,
        finishing,
        Cleaning(settings, store, source, _disk_guard(settings, runner, source, pulled), here),
        report=lambda job: report_to(celery, job),
    )
    register_task(celery, TaskRunner(settings, store, supervisor, sweep, active, here))
    heartbeat = Heartbeat(settings, store, runner, here, on_refused=lambda: os.kill(os.getpid(), signal.SIGTERM))
    alerts = AlertSender(store, channels_of(settings, preparation.redactor))
    watch = DiskWatch(settings, runner, here, verdicts)
    return Parts(store, celery, here, sweep, heartbeat, watch, alerts, metrics)


def _runner(settings: Settings, environment: Mapping[str, str], pulled: PulledImages) -> Runner:
    if settings.runner == "docker":
        return DockerRunner(
            environment,
            host=settings.worker_host,
            service=settings.service_id,
            pulled=pulled,
            log_bounds=log_bounds(settings),
        )
    logger.warning("training runs as plain processes of this user: no isolation, no limits (RUNNER=process)")
    folder = settings.data_dir / "processes" / settings.worker_host
    return ProcessRunner(folder, python=Path(sys.executable), base_env=environment, log_bounds=log_bounds(settings))


def _disk_guard(settings: Settings, runner: Runner, source: GitSource, pulled: PulledImages) -> DiskGuard:
    def folders() -> list[Path]:
        disk = runner.find_disk()
        return [settings.data_dir, *([disk] if disk else [])]

    return DiskGuard(folders, low_bytes=settings.disk_low_bytes, source=source, runner=runner, pulled=pulled)


def main() -> int:
    """Run a worker until it is told to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m worker",
        description="Run training jobs on this host. On SIGTERM it leaves its containers running for the next worker.",
        epilog="Settings come from the environment and .env; the README lists them.",
    )
    parser.parse_args()
    try:
        settings = Settings.load()
        keep_files_private()
        close_to_others(settings.data_dir)
        variables = environment()
        logs.configure(settings.log_level, settings.log_format, redactor_of(settings, variables))
        os.environ.update(settings.tracking_credentials())  # MLflow's client reads them there only
        configure_client(os.environ)
        with only_worker_here(settings) as machine:
            return _run(settings, variables, machine)
    except RetrainError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(settings: Settings, variables: Mapping[str, str], machine: Machine) -> int:
    stopping = threading.Event()
    parts = build(settings, variables, stopping, machine)
    if settings.worker_metrics_port:
        parts.metrics.serve(settings.worker_metrics_host, settings.worker_metrics_port)
    _start(stopping, guard=parts.heartbeat.guard_until)
    _wait_for_store(parts.store)
    parts.here.look_around()
    parts.heartbeat.take_name()
    return _work(parts, settings, stopping)


def _wait_for_store(store: SqlStore) -> None:
    """Wait for a store that is away, and not end: something must freeze what trains here meanwhile."""
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


def _work(parts: Parts, settings: Settings, stopping: threading.Event) -> int:
    @worker_shutting_down.connect(weak=False)
    def on_shutdown(**_signal: Any) -> None:
        stopping.set()

    if settings.log_format == "json":
        _print_nothing()
    loops = {"beat": parts.heartbeat.beat_until, "sweep": parts.sweep.run_until, "alerts": parts.alerts.run_until}
    threads = _start(stopping, disk=parts.disk_watch.watch_until, **loops)
    try:
        parts.celery.worker_main(_arguments(settings, slots=parts.here.slots))
    finally:
        stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
    return 1 if parts.heartbeat.is_refused else 0


def _print_nothing() -> None:
    """Keep what goes past logging out of lines of JSON: MLflow's addresses of runs, Celery's "Warm shutdown"."""
    sys.stdout, sys.__stdout__ = logs.Stray(logging.INFO), None  # type: ignore[misc]
    setup_logging.connect(lambda **_signal: None, weak=False)  # else Celery makes handlers of its own


def _arguments(settings: Settings, *, slots: int) -> list[str]:
    """The Celery worker's command line."""
    queues = ",".join(celery_queues(settings))
    arguments = ["worker", "--pool=threads", f"--concurrency={slots}", f"--queues={queues}", "--events"]
    arguments += [f"--hostname=worker@{settings.worker_host}", f"--loglevel={settings.log_level}"]
    arguments += ["--without-mingle", "--without-gossip"]  # workers meet in the store, not on the bus
    return ["--quiet", *arguments] if settings.log_format == "json" else arguments  # a banner is no JSON


def end(code: int) -> NoReturn:
    """End at once: to take apart all that was imported takes Python seconds, in which nobody supervises the training.

    What an interrupted preparation left behind in its thread is not waited for, either.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
