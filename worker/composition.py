"""Builds a worker from its parts. The only place that does: `python -m worker`, fakes and the simulation call it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from celery import Celery

from shared import logs
from shared.jobs.model import Job
from shared.jobs.store import JobStore
from shared.policy.file import PolicyFile
from shared.promoting import Time
from shared.queue import CeleryQueue, JobQueue, make_celery
from shared.scheduling.hosts import Machine
from shared.secrets.vault import Vault
from shared.settings import Settings
from shared.sql import SqlStore
from worker.alerts.registry import channels_of
from worker.alerts.sender import AlertSender
from worker.aside import Aside
from worker.attempt.deciding import Deciding
from worker.attempt.evaluating import Evaluating
from worker.attempt.finishing import Finishing
from worker.attempt.lease import LeaseKeeper
from worker.attempt.preparation import Preparation
from worker.attempt.supervision import Supervisor
from worker.cards.cards import Cards
from worker.credentials.credentials_file import CredentialsFile
from worker.credentials.keys import Keyring, headers_for
from worker.host.disk import DiskGuard
from worker.host.disk_watch import DiskWatch, Verdicts
from worker.host.heartbeat import Heartbeat
from worker.host.offer import HostOffer
from worker.interruption import SideWork, UntilStopping, WorkerStopping
from worker.metrics.counted_store import CountedStore
from worker.metrics.worker_metrics import WorkerMetrics
from worker.revoking import cancel_what_is_revoked
from worker.runners.registry import RUNNERS, worker_redactor
from worker.runners.seam import Handle, Runner
from worker.source.checkout import GitSource
from worker.source.limits import SourceLimits
from worker.sweep.aliases import Aliases
from worker.sweep.cleaning import Cleaning
from worker.sweep.looking import Looking
from worker.sweep.sweep import Active, Sweep
from worker.tasks import TaskRunner, celery_name, register_task, report_to
from worker.tracking.client import Tracking
from worker.triggers.looking import TriggerLooking
from worker.triggers.seam import Around

MOST_REMOVALS = 8  # at a time, beside the jobs that follow
KEPT_CONNECTIONS = 3  # of a dozen threads and the slots, hardly more use the store at a time


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What a worker uses outside its own process. Tests put fakes here."""

    store: JobStore
    queue: JobQueue
    runner: Runner
    source: GitSource
    tracking: Tracking
    vault: Vault
    credentials: CredentialsFile = field(default_factory=CredentialsFile)
    disk: DiskGuard
    report: Callable[[Job], None]  # to Celery's results, for a job that ends without a task
    environment: Mapping[str, str] = field(default_factory=dict)
    machine: Machine | None = None


@dataclass(frozen=True, kw_only=True)
class Running:
    """Clock and threads of the worker's process. A simulation uses its own."""

    stopping: threading.Event
    clock: Callable[[], float] = time.monotonic  # a machine's time of day may be changed
    lease_keeper: Callable[..., LeaseKeeper] = LeaseKeeper
    side_work: Callable[..., SideWork[Handle]] = SideWork
    on_refused: Callable[[], None] = lambda: None  # another machine has this host's name
    finishing: type[Finishing] = Finishing
    aside: Callable[[Callable[[], None]], None] = lambda work: work()  # for the removal of containers


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A worker's parts."""

    here: HostOffer
    preparation: Preparation
    finishing: Finishing
    supervisor: Supervisor
    sweep: Sweep
    looking: Looking
    triggers: TriggerLooking
    tasks: TaskRunner
    heartbeat: Heartbeat
    disk_watch: DiskWatch
    cards: Cards


def build(settings: Settings, outside: Outside, running: Running) -> Parts:
    """Put the parts together."""
    store, runner, source, tracking = outside.store, outside.runner, outside.source, outside.tracking
    keyring = Keyring(outside.vault, outside.credentials, isolated=settings.teams_isolated)
    policy = PolicyFile(settings.policy_file)
    here, active, verdicts = HostOffer(settings, runner, outside.machine), Active(), Verdicts()
    preparation = Preparation(
        settings=settings,
        store=store,
        source=source,
        tracking=tracking,
        runner=runner,
        host_environment=outside.environment,
        here=here,
        policy=policy,
    )
    evaluating = Evaluating(
        settings=settings,
        store=store,
        keyring=keyring,
        preparation=preparation,
        runner=runner,
        runs=tracking.evaluations,
        stopping=running.stopping,
        verdicts=verdicts,
        clock=running.clock,
    )
    redactor = worker_redactor(settings, outside.environment)
    timing = Time(running.clock, partial(_pause, running.stopping))
    deciding = Deciding(store, tracking.gate, runner.inside.is_guarded, evaluating, timing)
    finishing = running.finishing(
        settings,
        store,
        runner,
        tracking,
        running.stopping,
        deciding,
        clock=running.clock,
        aside=running.aside,
    )
    cards = Cards(settings, tracking)
    supervisor = Supervisor(
        settings=settings,
        store=store,
        keyring=keyring,
        preparation=preparation,
        runner=runner,
        finishing=finishing,
        stopping=running.stopping,
        cards=cards,
        lease_keeper=running.lease_keeper,
        side_work=running.side_work,
        clock=running.clock,
        verdicts=verdicts,
    )
    sweep = Sweep(
        settings=settings,
        store=store,
        queue=outside.queue,
        runner=runner,
        source=source,
        active=active,
        here=here,
        finishing=finishing,
        cleaning=Cleaning(settings, store, source, outside.disk, here),
        aliases=Aliases(store, tracking.gate, timing),
        report=outside.report,
    )
    return Parts(
        here=here,
        preparation=preparation,
        finishing=finishing,
        supervisor=supervisor,
        sweep=sweep,
        looking=Looking(
            settings=settings,
            store=store,
            keyring=keyring,
            source=source,
            runner=runner,
            here=here,
            redactor=redactor,
            report=outside.report,
            stopping=running.stopping,
            policy=policy,
            clock=running.clock,
        ),
        triggers=TriggerLooking(
            around=Around(
                settings=settings,
                store=store,
                source=source,
                tracking=tracking,
                interruption=UntilStopping(running.stopping),
            ),
            queue=outside.queue,
            keyring=keyring,
            redactor=redactor,
            policy=policy,
        ),
        tasks=TaskRunner(settings, store, supervisor, sweep, active, here),
        heartbeat=Heartbeat(settings, store, runner, here, running.clock, on_refused=running.on_refused),
        disk_watch=DiskWatch(settings, runner, here, verdicts),
        cards=cards,
    )


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A worker built with the real outside, and what else its process serves."""

    parts: Parts
    store: SqlStore
    celery: Celery
    alerts: AlertSender
    metrics: WorkerMetrics
    removals: Aside


def build_process(
    settings: Settings, environment: Mapping[str, str], stopping: threading.Event, machine: Machine
) -> WorkerProcess:
    """Build a worker for this process, with everything that it uses."""
    metrics = WorkerMetrics(settings.worker_queues, settings.destinations.names)
    store = CountedStore(
        settings.store_url,
        metrics,
        limits=settings.limits,
        alerting=settings.alerting,
        teams_isolated=settings.teams_isolated,
        audit_log=settings.audit_log,
        kept=KEPT_CONNECTIONS,
    )
    credentials = CredentialsFile(settings.credentials_file, lambda named: logs.hide(named.secrets))
    credentials.load()
    celery, redactor = make_celery(settings, with_results=True), worker_redactor(settings, environment)
    source, runner = _source(settings), RUNNERS.load(settings.runner).from_settings(settings, environment)
    outside = Outside(
        store=store,
        queue=CeleryQueue(settings, redactor),
        runner=runner,
        source=source,
        tracking=Tracking(settings.mlflow_tracking_uri),
        vault=settings.vault(),
        credentials=credentials,
        disk=_disk_guard(settings, runner, source),
        report=partial(report_to, celery, hostname=celery_name(settings)),
        environment=environment,
        machine=machine,
    )
    removals = Aside(MOST_REMOVALS, step="remove_container")
    parts = build(settings, outside, Running(stopping=stopping, on_refused=_terminate, aside=removals.run))
    register_task(celery, parts.tasks)
    cancel_what_is_revoked(store, outside.report)
    metrics.show_look(lambda: parts.here.seen_at)
    alerts = AlertSender(store, channels_of(settings, redactor, headers=partial(headers_for, credentials)))
    return WorkerProcess(parts=parts, store=store, celery=celery, alerts=alerts, metrics=metrics, removals=removals)


def _pause(stopping: threading.Event, seconds: float) -> None:
    if stopping.wait(seconds):
        raise WorkerStopping


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _source(settings: Settings) -> GitSource:
    return GitSource(
        settings.data_dir / "mirrors",
        settings.data_dir / "work" / settings.worker_host,
        allowed_schemes=settings.git_schemes,
        allowed_hosts=settings.git_hosts,
        private_networks=settings.git_private_networks,
        # Half of the low-water mark: at the mark itself no more attempts start, and the sweep makes room.
        limits=SourceLimits(settings.source_max_files, settings.source_max_bytes, settings.disk_low_bytes // 2),
    )


def _disk_guard(settings: Settings, runner: Runner, source: GitSource) -> DiskGuard:
    def folders() -> list[Path]:
        disk = runner.find_disk()
        return [settings.data_dir, *([disk] if disk else [])]

    return DiskGuard(folders, low_bytes=settings.disk_low_bytes, source=source, runner=runner)
