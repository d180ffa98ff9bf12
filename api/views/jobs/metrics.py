"""GET /jobs/<id>/metrics."""

from functools import partial

from pydantic import Field

from api.access.finding import find_job_id, sees_model
from api.examples import JOB_ID, RUN
from api.http.errors import RegistryUnavailable
from api.http.models import AnswerBody, NoQuery
from api.job_metrics import Metric, finite, read_metrics
from api.model_registry import MetricPoint
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.schemas import Timestamp
from api.services import services
from api.views.jobs.job import JobPath
from shared.access.roles import Right
from shared.errors import JobNotFound

EXAMPLE = {
    "job_id": JOB_ID,
    "run_id": RUN,
    "champion": {"model": "iris", "version": "6", "run_id": RUN[::-1]},
    "metrics": [
        {
            "name": "accuracy",
            "value": 0.97,
            "champion": 0.95,
            "points": [{"step": 0, "value": 0.97, "at": "2026-01-31T12:00:41.000Z"}],
            "champion_points": [{"step": 0, "value": 0.95, "at": "2026-01-30T12:00:39.000Z"}],
        }
    ],
    "left_out": 0,
}


class Point(AnswerBody):
    """A value at a step."""

    step: int
    value: float | None = Field(description="Null for what is not a finite number.")
    at: Timestamp


class ChampionOfMetrics(AnswerBody):
    """The model version that the job's is compared with."""

    model: str
    version: str
    run_id: str = Field(description="The MLflow run that made it.")


class MetricOfJob(AnswerBody):
    """One metric, and the champion's."""

    name: str
    value: float | None = Field(description="The last one; null for what is not a finite number.")
    champion: float | None = Field(description="The last one of the champion's run; null if it has none.")
    points: tuple[Point, ...] = Field(description="Its course; empty where it was not read.")
    champion_points: tuple[Point, ...]


class JobMetrics(AnswerBody):
    """What a job's training has measured so far."""

    job_id: str
    run_id: str | None = Field(description="The MLflow run of the last attempt; null while there is none.")
    champion: ChampionOfMetrics | None = Field(description="Null if there is none to compare with.")
    metrics: tuple[MetricOfJob, ...]
    left_out: int = Field(description="How many more metrics MLflow has.")


@operation(
    "GET /jobs/<job_id>/metrics",
    Answer("The metrics.", JobMetrics, example=EXAMPLE),
    tag=Tag.JOBS,
    needs=Right.READ,
    raises=[JobNotFound, RegistryUnavailable],
)
def get_job_metrics(path: JobPath, query: NoQuery) -> JobMetrics:
    """Read what a job's training has logged to MLflow so far, beside the champion's.

    The metric that decides about the model comes first. Each has its last value, and the first ones their course: of
    many points some, spread evenly. Until a decision is made, the champion is the model's at that moment; then it is
    the one that the job's model was compared with.
    """
    here = services()
    job = here.store.get(find_job_id(here.store, path.job_id))
    found = read_metrics(job, here.registry, partial(sees_model, here.store))
    champion = found.champion and ChampionOfMetrics.model_validate(found.champion)
    metrics = tuple(_metric(each) for each in found.metrics)
    return JobMetrics(job_id=job.id, run_id=job.run_id, champion=champion, metrics=metrics, left_out=found.left_out)


def _metric(found: Metric) -> MetricOfJob:
    return MetricOfJob(
        name=found.name,
        value=found.value,
        champion=found.champion,
        points=tuple(map(_point, found.points)),
        champion_points=tuple(map(_point, found.champion_points)),
    )


def _point(found: MetricPoint) -> Point:
    return Point(step=found.step, value=finite(found.value), at=found.at)
