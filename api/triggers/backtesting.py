"""Reads what is known of the past of a trigger, for a backtest of its policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.jobs.model import Job, JobState
from shared.jobs.records import JobFilter
from shared.jobs.store import JobStore
from shared.jobs.triggers import Occurrence
from shared.requests.retrain_request import RetrainRequest
from shared.triggers.backtest import Backtested, Change, Past, backtest
from shared.triggers.fields import Policy, When
from shared.triggers.past import changes_in, median_seconds, occurrences_of

MOST_JOBS = 1000  # the newest
MOST_EVENTS = 1000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the past is asked about. Changes that are not given are looked for in past jobs."""

    name: str
    template: RetrainRequest
    when: When
    since: datetime
    until: datetime
    data: Sequence[Change] = ()
    code: Sequence[Change] = ()
    job_seconds: float | None = None
    team: str | None = None  # whose jobs alone count; None for all
    is_recorded: bool

    def try_policy(self, policy: Policy, past: Past) -> Backtested:
        """Return what would have come of it; raise TooManyOccurrences."""
        return backtest(self.name, self.when, policy, past)


def read_past(asked: Asked, store: JobStore) -> Past:
    """Return what is known of it."""
    jobs = _jobs_like(asked, store)
    data = asked.data or changes_in(jobs, "dataset_repo")
    code = asked.code or changes_in(jobs, "commit_sha")
    known = _known(asked, store)
    return Past(
        since=asked.since,
        until=asked.until,
        occurrences=occurrences_of(asked.when, asked.since, data=data, code=code, known=known),
        data=data,
        code=code,
        job_seconds=median_seconds(jobs) if asked.job_seconds is None else asked.job_seconds,
        gpus=asked.template.resources.gpus,
        cpus=asked.template.resources.cpus,
    )


def _jobs_like(asked: Asked, store: JobStore) -> Sequence[Job]:
    """Return the trigger's own jobs, else those of its model or, without one, of its experiment."""
    model, experiment = asked.template.model_name, asked.template.experiment_name
    like = JobFilter(model_name=model, experiment_name=None if model else experiment, team=asked.team)
    own = store.list(JobFilter(trigger=asked.name), limit=MOST_JOBS) if asked.is_recorded else ()
    return own if any(job.state is JobState.SUCCEEDED for job in own) else store.list(like, limit=MOST_JOBS)


def _known(asked: Asked, store: JobStore) -> Sequence[Occurrence]:
    """Return what came to the recorded trigger or, for jobs after which it fires, when they ended."""
    after = asked.when.job
    if after is not None:
        where = JobFilter(
            frozenset({JobState.SUCCEEDED}), model_name=after.model, trigger=after.trigger, team=asked.team
        )
        ended = ((job.id, job.ended_at) for job in store.list(where, limit=MOST_JOBS))
        return [Occurrence(f"job {job_id}", at) for job_id, at in ended if at is not None]
    if not asked.is_recorded or asked.when.kind.is_tick:
        return ()
    return [event.occurrence for event in store.trigger_events(asked.name, limit=MOST_EVENTS) if event.key]
