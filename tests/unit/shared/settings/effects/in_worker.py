"""Settings of the worker, and what its parts, built with the real outside or on fakes, show of them."""

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

from shared.errors import UserError
from shared.logs import formatter_of
from shared.policy.rules import NO_RULES
from shared.requests.parts import Resources, Retry
from shared.scheduling.hosts import Machine
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.runner import FakeHost, FakeRunner, Script
from tests.fakes.source import FakeSource
from tests.fakes.store import MemoryStore
from tests.fakes.tracking import FakeTracking
from tests.support.jobs import claim, new_job, submit
from tests.unit.shared.settings.effects.effect import Effect
from worker.__main__ import options_of, serve_metrics
from worker.attempt.limits import limits_of
from worker.attempt.surroundings import Surroundings
from worker.composition import Outside, Parts, Running, WorkerProcess, build, build_process
from worker.host.disk import DiskGuard
from worker.host.disk_watch import DiskWatch, Room, Verdicts
from worker.project.entry_points import EnvironmentVariable, Project
from worker.project.permission import check_image
from worker.runners.seam import AttemptSpec, Capacity, Inside, log_bounds
from worker.triggers.origins.folder import _permitted

REQUEST = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git"}
MACHINE = Machine("m", "here")
GIB = 2**30


class Noting:
    """Passes calls on, and notes the numbers among their arguments."""

    def __init__(self, inner: Any, notes: set[tuple[str, str, float]]) -> None:
        self._inner, self._notes = inner, notes

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def noted(*values: Any, **named: Any) -> Any:
            given = {**{str(place): value for place, value in enumerate(values)}, **named}
            self._notes.update((name, key, each) for key, each in given.items() if isinstance(each, int | float))
            return found(*values, **named)

        return noted


class OneTurn(threading.Event):
    """Lets a loop run once, and notes for how long it would then wait."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait no time."""
        self.seconds = timeout
        self.set()
        return True


class FakeWorkerLife:
    """A worker on fakes with these settings; ``notes`` are the numbers that it gave to those."""

    def __init__(self, settings: Settings) -> None:
        self.notes: set[tuple[str, str, float]] = set()
        self.host = FakeHost(gpus=("0", "1"))
        self.store = MemoryStore(limits=settings.limits, alerting=settings.alerting)
        runner: Any = Noting(FakeRunner(host=self.host), self.notes)
        store: Any = Noting(self.store, self.notes)
        source: Any = Noting(FakeSource(settings.data_dir), self.notes)
        outside = Outside(
            store=store,
            queue=RecordingQueue(),
            runner=runner,
            source=source,
            tracking=FakeTracking(),
            vault=settings.vault(),
            disk=DiskGuard(lambda: [settings.data_dir.parent], low_bytes=0, source=source, runner=runner),
            report=lambda _job: None,
            machine=MACHINE,
        )
        self.parts: Parts = build(settings, outside, Running(stopping=threading.Event()))

    def train(self) -> AttemptSpec:
        """Train a job to its end, and return what was started for it."""
        self.parts.tasks.run(self.store.submit(new_job(request=REQUEST)).job.id)
        return self.host.started[-1]


def life(settings: Settings) -> Any:
    """The numbers of a job's life and of a sweep. The deadline of a checkout shrinks with time, so it is rounded."""
    worker = FakeWorkerLife(settings)
    worker.parts.heartbeat.beat()
    worker.train()
    worker.parts.sweep.once(reconcile=True)
    worker.parts.sweep.cleaning.tidy()
    return {(name, key, round(value)) for name, key, value in worker.notes}


def may_look(settings: Settings) -> str:
    try:
        return str(_permitted(f"file://{settings.data_dir.resolve()}", settings))
    except UserError as error:
        return error.message


def spec(settings: Settings) -> Any:
    found = FakeWorkerLife(settings).train()
    return found.pids, found.network, found.host_address


def offer(settings: Settings) -> Any:
    here = FakeWorkerLife(settings).parts.here
    here.look_around()
    here.offer_gpus(held=())
    return here.now()


def longest_run(settings: Settings) -> float:
    worker = FakeWorkerLife(settings)
    return worker.parts.supervisor._run_limit_seconds(claim(worker.store, submit(worker.store)))


def pause(settings: Settings) -> float | None:
    turn = OneTurn()
    FakeWorkerLife(settings).parts.sweep.run_until(turn)
    return turn.seconds


def look_seconds(settings: Settings) -> float:
    return FakeWorkerLife(settings).parts.heartbeat._look_seconds


def stopped(settings: Settings) -> bool:
    """Whether an attempt that has written a tenth of the disk is stopped."""
    host, here = FakeHost(), FakeWorkerLife(settings).parts.here
    runner = FakeRunner(Script(hangs=True), host=host)
    host.sizes[runner.start_or_attach(_attempt(settings)).name] = 10**9
    DiskWatch(settings, runner, here, Verdicts(), lambda _: Room(10**10, 5 * 10**9)).look()
    return bool(host.stopped)


def _attempt(settings: Settings) -> AttemptSpec:
    folder = settings.data_dir
    return AttemptSpec(job_id="j", attempt=1, image=None, command="true", source=folder, repository=folder)


def limits(settings: Settings) -> Any:
    return limits_of(Resources(), settings, Capacity(64 * GIB, 16), slots=2)


def given(settings: Settings, **asked: Any) -> Any:
    """Which of the host's things a project gets that asks for them."""
    around = Surroundings(settings, {"REGION": "eu"}, Inside())
    try:
        return repr(around.give(Project("iris", **asked), {}))
    except UserError as refusal:
        return refusal.code


def in_image(settings: Settings) -> str:
    try:
        check_image(Project("iris", image="iris:1"), NO_RULES, settings)
    except UserError as refusal:
        return refusal.code
    return "allowed"


def cache(settings: Settings) -> Any:
    around = Surroundings(settings, {}, Inside(cache_folder="/cache"))
    store = MemoryStore()
    return around._cache_variables(), around.cache_volume(store.get(submit(store)))


def metrics(settings: Settings) -> Any:
    asked: list[Any] = []
    serving: Any = type("Serving", (), {"serve": lambda _self, *place: asked.append(place)})()
    serve_metrics(serving, settings)
    return asked


def built(look: Callable[[WorkerProcess], Any]) -> Callable[[Settings], Any]:
    """Look at a worker that was built for a process of its own; it has connected to nothing yet."""

    def build_and_look(settings: Settings) -> Any:
        process = build_process(settings, {}, threading.Event(), MACHINE)
        with closing(process.store):
            return look(process)

    return build_and_look


def source(process: WorkerProcess) -> Any:
    found = process.parts.preparation.source
    return found.mirrors, found._limits, found._rules


def credentials(settings: Settings) -> Any:
    """What a worker's keyring knows; the file must be its owner's alone."""
    if settings.credentials_file:
        settings.credentials_file.chmod(0o600)
    return built(lambda process: process.parts.supervisor.keyring._file.now())(settings)


of_store = built(lambda process: (process.store.limits, process.store.alerting, str(process.store.engine.url)))
of_confinement = built(lambda process: vars(process.parts.supervisor.runner)["_confinement"])
of_runner = built(lambda process: process.parts.supervisor.runner.kind)
PORT = {"WORKER_METRICS_PORT": "5006"}

EFFECTS = {
    "data_dir": Effect("{folder}/elsewhere", built(source)),
    "database_url": Effect("postgresql://h/jobs", of_store),
    "credentials_file": Effect(
        "{folder}/logins", credentials, files={"logins": '[[git]]\nurl = "git.example"\npassword = "x"'}
    ),
    "runner": Effect("process", of_runner),
    "worker_host": Effect("gpu-7", lambda s: offer(s).name),
    "worker_queues": Effect("night", lambda s: offer(s).queues),
    "worker_labels": Effect("a100", lambda s: offer(s).labels),
    "slots": Effect("7", lambda s: offer(s).slots),
    "retrain_gpus": Effect("0", lambda s: offer(s).gpus),
    "training_firewall_file": Effect("{folder}/firewall", lambda s: offer(s).closed_because),
    "worker_metrics_port": Effect("5106", metrics),
    "worker_metrics_host": Effect("0.0.0.0", metrics, PORT),
    "job_cards": Effect("false", built(lambda process: process.parts.cards.is_on)),
    "limit_per_key": Effect("7", of_store),
    "limits_by_key": Effect("experiment:*=4", of_store),
    "limit_total": Effect("7", of_store),
    "gpu_reserve_after_seconds": Effect("7", of_store),
    "alert_events": Effect("failed", of_store),
    "lease_seconds": Effect("20", life),
    "sweep_seconds": Effect("7", pause),
    "host_lost_after_seconds": Effect("1800", look_seconds),
    "resend_after_seconds": Effect("77", life),
    "stop_grace_seconds": Effect("77", life),
    "attempt_memory_bytes": Effect("1000000000", limits),
    "attempt_cpus": Effect("2", limits),
    "attempt_pids": Effect("77", spec),
    "container_network": Effect("trainings", spec),
    "container_runtime": Effect("runsc", of_confinement),
    "container_user": Effect("1000:1000", of_confinement),
    "container_read_only_root": Effect("true", of_confinement),
    "container_host_address": Effect("10.1.2.3", spec),
    "project_env_allowlist": Effect("REGION", lambda s: given(s, environment=(EnvironmentVariable("REGION", None),))),
    "image_allowlist": Effect("other/*", in_image),
    "volume_allowlist": Effect("/srv", lambda s: given(s, volumes=("/srv:/srv",))),
    "trigger_folders": Effect("{folder}", may_look),
    "dataset_cache": Effect("/srv/cache", cache),
    "dataset_cache_of": Effect("team", cache, {"DATASET_CACHE": "/srv/cache"}),
    "dataset_cache_bytes": Effect("7", cache, {"DATASET_CACHE": "/srv/cache"}),
    "source_max_files": Effect("7", built(source)),
    "source_max_bytes": Effect("1000000", built(source)),
    "disk_low_bytes": Effect("7", built(source)),
    "disk_stop_bytes": Effect("6000000000", stopped),
    "attempt_disk_bytes": Effect("1000000", stopped),
    "run_timeout_seconds": Effect("77", longest_run),
    "git_timeout_seconds": Effect("77", life),
    "pull_timeout_seconds": Effect("77", life),
    "retry_max_attempts": Effect("7", lambda s: s.retry_policy(Retry())),
    "retry_on": Effect("timeout", lambda s: s.retry_policy(Retry())),
    "retry_initial_delay_seconds": Effect("7", lambda s: s.retry_policy(Retry())),
    "retry_max_delay_seconds": Effect("7", lambda s: s.retry_policy(Retry())),
    "log_limit_bytes": Effect("7777", log_bounds),
    "log_flood_factor": Effect("7", log_bounds),
    "retention_days": Effect("7", life),
    "mirror_days": Effect("7", life),
    "log_level": Effect("DEBUG", lambda s: options_of(s, slots=2)),
    "log_format": Effect("json", lambda s: type(formatter_of(s.log_format))),
}
