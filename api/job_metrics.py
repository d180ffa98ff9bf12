"""Reads what a job's run has logged so far beside the champion's run, from MLflow: no more than a page can show."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from api.model_registry import MetricPoint, ModelRegistry
from shared.jobs.model import Job
from shared.jobs.promotions import CHAMPION

MOST_METRICS = 200  # whose last values are told
MOST_SERIES, MOST_POINTS = 20, 300  # metrics with their course, and points of each
COURSES_SECONDS = 4.0  # a slow MLflow gives fewer courses, not a slow answer
MACHINE_METRICS = "system/"  # as MLflow logs them; they come last


@dataclass(frozen=True)
class ChampionRun:
    """The version that the job's model is compared with, and the run that made it."""

    model: str
    version: str
    run_id: str


@dataclass(frozen=True)
class Metric:
    """One metric of the job's run, and the same of the champion's; no points where its course was not read."""

    name: str
    value: float | None
    champion: float | None
    points: Sequence[MetricPoint] = ()
    champion_points: Sequence[MetricPoint] = ()


@dataclass(frozen=True)
class Metrics:
    """What is known. ``left_out`` metrics are not told at all."""

    champion: ChampionRun | None
    metrics: Sequence[Metric]
    left_out: int


def read_metrics(
    job: Job, registry: ModelRegistry, may_see: Callable[[str], bool], clock: Callable[[], float] = time.monotonic
) -> Metrics:
    """Return the metrics of the job's last run: first the one that decides. Raises RegistryUnavailable."""
    if job.run_id is None:
        return Metrics(None, (), 0)
    champion = _find_champion(job, registry, may_see)
    ours = registry.last_metrics(job.run_id)
    theirs = registry.last_metrics(champion.run_id) if champion else {}
    deciding = _decision(job).get("metric")
    names = sorted(ours, key=lambda name: (name != deciding, name.startswith(MACHINE_METRICS), name))
    read = _Courses(registry, [job.run_id, *([champion.run_id] if champion else [])], clock() + COURSES_SECONDS, clock)
    metrics = [
        _metric(name, ours, theirs, read(name) if n < MOST_SERIES else {}, read.run_ids)
        for n, name in enumerate(names[:MOST_METRICS])
    ]
    return Metrics(champion, metrics, len(names) - len(metrics))


@dataclass(frozen=True)
class _Courses:
    registry: ModelRegistry
    run_ids: Sequence[str]
    until: float
    clock: Callable[[], float]

    def __call__(self, name: str) -> Mapping[str, Sequence[MetricPoint]]:
        """Return the metric's points by run; none if there is no time left."""
        if self.clock() > self.until:
            return {}
        return self.registry.metric_points(name, self.run_ids, limit=MOST_POINTS)


def _metric(
    name: str,
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    courses: Mapping[str, Sequence[MetricPoint]],
    run_ids: Sequence[str],
) -> Metric:
    found = [courses.get(run_id, ()) for run_id in run_ids]
    return Metric(name, finite(ours[name]), finite(theirs.get(name)), found[0], found[1] if len(found) > 1 else ())


def finite(value: float | None) -> float | None:
    """Return the number; None for what JSON cannot express."""
    return value if value is not None and math.isfinite(value) else None


def _find_champion(job: Job, registry: ModelRegistry, may_see: Callable[[str], bool]) -> ChampionRun | None:
    """Return the champion that the job's model was compared with or, before the decision, will be."""
    decision = _decision(job)
    model = decision.get("model_name") or job.model_name
    if not isinstance(model, str) or not may_see(model):
        return None
    alias = str(decision.get("alias") or CHAMPION)
    version = decision.get("champion_version") if decision else registry.find_version(model, alias)
    if version is None:
        return None
    run_id = registry.find_run_id(model, str(version))
    return ChampionRun(model, str(version), run_id) if run_id and run_id != job.run_id else None


def _decision(job: Job) -> Mapping[str, object]:
    decision = (job.result or {}).get("decision")
    return decision if isinstance(decision, Mapping) else {}
