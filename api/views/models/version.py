"""GET /models/<name>/versions/<version>, and what is told of each version in a list: its value and what made it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.access.authorisation import team_seen
from api.access.finding import require_model
from api.http.errors import ModelVersionNotFound, RegistryUnavailable
from api.http.models import AnswerBody, NoQuery
from api.model_registry import ModelVersion, Run
from api.operations.answers import Answer, Tag
from api.operations.operation import operation
from api.representation import summary
from api.schemas import Dataset, JobSummary
from api.services import links, services
from api.views.jobs.job import JOB_ID
from api.views.models.champion import VERSION, ModelPath
from mypackage.protocol import JOB_TAG, METRIC_TAG, METRIC_VALUE_TAG
from shared.access.roles import Right
from shared.jobs.promotions import Promotion, PromotionState
from shared.jobs.records import JobFilter
from shared.links import run_page
from shared.requests.texts import Direction

MOST_VERSIONS = 50
MOST_DECISIONS = 200  # that are looked through for the versions'
MOST_SHOWN = 200  # parameters, and metrics
LONGEST_PARAMETER = 1000


class Version(AnswerBody):
    """A version of a model."""

    version: str
    aliases: Sequence[str]
    job_id: str | None = Field(description="The job that trained it; null if another program registered it.")
    run_id: str | None = Field(description="Its MLflow run.")
    created_at: datetime
    metric: str | None = Field(description="By what it was judged; null if that is not known.")
    value: float | None = Field(description="The metric's value then; null also for NaN and infinity.")
    direction: Direction | None = Field(description="Which values of it are better.")
    promotion_id: str | None = Field(description="What was decided about it last; null if nothing is recorded.")
    state: PromotionState | None = Field(description="What became of that.")
    git_uri: str | None = Field(description="Its code; null, as what follows, if its job is not known any more.")
    commit_sha: str | None
    dataset: Dataset | None = Field(description="Its data.")


class WholeVersion(Version):
    """A version with all that made it, to be compared with others."""

    model: str
    params: Mapping[str, str] = Field(
        description=f"What its run has logged; values end after {LONGEST_PARAMETER} characters."
    )
    metrics: Mapping[str, float | None] = Field(description="Their last values; null for NaN and infinity.")
    left_out: int = Field(
        description=f"How many parameters and metrics are not here, because of each only {MOST_SHOWN} are, by name."
    )
    directions: Mapping[str, Direction] = Field(description="Which values of the metrics that decide are better.")
    run_seconds: float | None = Field(description="How long its run took.")
    mlflow: str | None = Field(description="Its run's page, where the tracking server has pages.")
    job: JobSummary | None = Field(description="The job that trained it, as in GET /jobs; null if it is not known.")


class VersionPath(ModelPath):
    """Which version of which model."""

    version: Annotated[str, StringConstraints(pattern=VERSION)] = Field(description="The version's number.")


@operation(
    "GET /models/<model>/versions/<version>",
    Answer("The version.", WholeVersion),
    tag=Tag.MODELS,
    needs=Right.READ,
    raises=[ModelVersionNotFound, RegistryUnavailable],
)
def get_model_version(path: VersionPath, query: NoQuery) -> WholeVersion:
    """Get a version with what its run has logged in MLflow, and the job that made it.

    Two of these answers say how two versions differ: in code, data, parameters and metrics.
    """
    here = services()
    require_model(here.store, path.model)
    found = here.registry.get_version(path.model, path.version)
    aliases = here.registry.find_model(path.model)
    decided = newest_decisions(path.model)
    [told] = told_versions([found], aliases.aliases if aliases else {}, decided)
    job = _jobs_of([found]).get(found.tags.get(JOB_TAG, ""))
    run = here.registry.find_run(found.run_id) if found.run_id else None
    return WholeVersion(
        **{**dict(told), **_logged(run)},
        model=path.model,
        directions=_directions(decided.get(path.version)),
        mlflow=_page(run, found.run_id),
        job=job,
    )


def newest_decisions(model: str) -> Mapping[str, Promotion]:
    """Return the last decision about each of the versions that trainings proposed last, the newest first."""
    decided: dict[str, Promotion] = {}
    for made in services().store.decisions(model, limit=MOST_DECISIONS):
        if made.version is not None:
            decided.setdefault(made.version, made)
    return decided


def told_versions(
    found: Sequence[ModelVersion], aliases: Mapping[str, str], decided: Mapping[str, Promotion]
) -> list[Version]:
    """Return the versions with what this service knows of them."""
    jobs = _jobs_of(found)
    return [_told(each, aliases, decided.get(each.version), jobs.get(each.tags.get(JOB_TAG, ""))) for each in found]


def _told(found: ModelVersion, aliases: Mapping[str, str], made: Promotion | None, job: JobSummary | None) -> Version:
    decision: Mapping[str, Any] = made.decision if made else {}
    return Version(
        version=found.version,
        aliases=[alias for alias, version in aliases.items() if version == found.version],
        job_id=found.tags.get(JOB_TAG),
        run_id=found.run_id,
        created_at=found.created_at,
        metric=found.tags.get(METRIC_TAG) or decision.get("metric"),
        value=_number(found.tags.get(METRIC_VALUE_TAG, decision.get("challenger"))),
        direction=decision.get("direction"),
        promotion_id=made.id if made else None,
        state=made.state if made else None,
        git_uri=str(job.request["git_uri"]) if job else None,
        commit_sha=job.resolved.commit_sha if job else None,
        dataset=job.resolved.dataset if job else None,
    )


def _jobs_of(found: Iterable[ModelVersion]) -> Mapping[str, JobSummary]:
    """Return the jobs that the versions name, by id; without those that are gone, or that the caller may not see."""
    ids = frozenset(job_id for each in found if JOB_ID.fullmatch(job_id := each.tags.get(JOB_TAG, "")))
    if not ids:
        return {}
    return {
        job.id: summary(job, links())
        for job in services().store.list(JobFilter(ids=ids, team=team_seen()), limit=len(ids))
    }


def _logged(run: Run | None) -> dict[str, Any]:
    params, metrics = (sorted(run.params), sorted(run.metrics)) if run else ([], [])
    return {
        "params": {name: run.params[name][:LONGEST_PARAMETER] for name in params[:MOST_SHOWN]} if run else {},
        "metrics": {name: _number(run.metrics[name]) for name in metrics[:MOST_SHOWN]} if run else {},
        "left_out": sum(max(0, len(names) - MOST_SHOWN) for names in (params, metrics)),
        "run_seconds": run.seconds if run else None,
    }


def _directions(made: Promotion | None) -> dict[str, Any]:
    """Return which values the decision calls better, by metric."""
    decision: Mapping[str, Any] = made.decision if made else {}
    rails: Mapping[str, Any] = decision.get("guardrails") or {}
    told = {name: rail.get("direction") for name, rail in rails.items()}
    told[str(decision.get("metric"))] = decision.get("direction")
    return {name: direction for name, direction in told.items() if direction}


def _page(run: Run | None, run_id: str | None) -> str | None:
    mlflow = links().mlflow
    if mlflow is None or run is None or run.experiment_id is None or run_id is None:
        return None
    return run_page(mlflow, experiment_id=run.experiment_id, run_id=run_id)


def _number(said: object) -> float | None:
    """Return the number; None for what is none, NaN and infinity."""
    try:
        number = float(said)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
