"""Remembers jobs' records by their versions, and the last answer made of each: many ask for the same one, often."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from api.representation import whole_job
from shared.jobs.model import Job, JobState
from shared.jobs.store import Submissions
from shared.links import Links
from shared.scheduling.queue_position import QueuePosition

MOST_KEPT = 500
MOST_CHARACTERS = 16_000  # of an answer; a job with a larger one is not remembered


@dataclass(frozen=True)
class _Kept:
    job: Job
    made_of: tuple[Links, QueuePosition | None]
    answer: str


class KnownJobs:
    """Jobs as they are now. A version of one never changes, which is also what its ETag promises."""

    def __init__(self, store: Submissions, *, most: int = MOST_KEPT) -> None:
        self._store = store
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._changing = threading.Lock()

    def get(self, job_id: str) -> Job:
        """Return the job; raise JobNotFound. One that is known costs a look at its version."""
        version, state = self._store.get_version(job_id)
        kept = self._kept.get(job_id)
        # While a job is being cancelled, its container may still become known, without a new version.
        if kept is not None and kept.job.version == version and state is not JobState.CANCELLING:
            return kept.job
        return self._store.get(job_id)

    def answer(self, job: Job, links: Links, place: QueuePosition | None) -> str:
        """Return the job as JSON; made anew only if anything in it has changed since it was last asked for."""
        made_of = (links, place)
        kept = self._kept.get(job.id)
        if kept is None or kept.job is not job or kept.made_of != made_of:
            kept = _Kept(job, made_of, whole_job(job, links, place).model_dump_json(by_alias=True))
        if len(kept.answer) <= MOST_CHARACTERS:
            self._keep(kept)
        return kept.answer

    def _keep(self, kept: _Kept) -> None:
        with self._changing:
            self._kept[kept.job.id] = kept
            self._kept.move_to_end(kept.job.id)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
