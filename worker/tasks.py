"""The Celery task: claims a job, supervises its attempt, and reports the job's end as the task's result."""

import logging
from dataclasses import dataclass
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore

from shared.errors import (
    AttemptError,
    Code,
    InternalError,
    JobNotFound,
    RetrainError,
    StoreUnavailable,
)
from shared.jobs.model import Job, JobState
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.logs import job_context, log_context
from shared.queue import TASK
from shared.settings import Settings
from worker.attempt.supervision import Supervisor
from worker.host.offer import HostOffer
from worker.sweep.sweep import Active, Sweep

logger = logging.getLogger(__name__)


class JobFailed(Exception):
    """The job ended as failed; the text is its reason."""


@dataclass(frozen=True)
class TaskRunner:
    """Does the work of the Celery task."""

    settings: Settings
    store: JobStore
    supervisor: Supervisor
    sweep: Sweep
    active: Active
    here: HostOffer

    def run(self, job_id: str) -> Job | None:
        """Run the job's next attempt if it is this worker's to run; return the job if it has ended, else None."""
        if not self.active.add(job_id):
            return None
        try:
            with log_context(job_id=job_id):
                claim = self.store.claim(job_id, host=self.here.now(), lease_seconds=self.settings.lease_seconds)
                job = self._supervise(claim) if claim else self.store.get(job_id)
        except (StoreUnavailable, JobNotFound) as error:
            logger.warning("message not followed", extra={"job_id": job_id, "cause": error.message})
            return None
        finally:
            self.active.discard(job_id)
        if claim:
            self._after(is_left=job is None)
        return job

    def _supervise(self, claim: Claim) -> Job | None:
        with job_context(claim.job, attempt=claim.attempt.number):
            try:
                return self.supervisor.run(claim)
            except (StoreUnavailable, JobNotFound):
                raise
            except Exception as error:  # the outermost frame: whatever it is, the job must not stay running forever
                logger.exception("attempt broke")
                return self.supervisor.fail(claim, _as_attempt_error(error))

    def _after(self, *, is_left: bool) -> None:
        """Send the next job, because a slot is free; if this job was left, look for its unsupervised container."""
        try:
            if is_left and not self.supervisor.stopping.is_set():
                self.sweep.reconcile()
            self.sweep.send_next()
        except RetrainError as error:
            logger.warning("put off; the sweep will do it", extra={"cause": error.message})


def _as_attempt_error(error: Exception) -> AttemptError:
    if isinstance(error, AttemptError):
        return error
    if isinstance(error, RetrainError):
        return InternalError(Code.INTERNAL, error.message)
    return InternalError(Code.INTERNAL, f"The worker itself failed ({type(error).__name__}); its log has the details.")


def summary(job: Job) -> dict[str, Any]:
    """Return the job's end as Celery's result: a summary of GET /jobs/<id>."""
    return {
        "job_id": job.id,
        "state": str(job.state),
        "experiment_name": job.experiment_name,
        "commit_sha": job.commit_sha,
        "run_id": job.run_id,
        "result": dict(job.result) if job.result else None,
    }


def failure_of(job: Job) -> JobFailed:
    """Return the job's failure as Celery's result."""
    return JobFailed(f"{job.reason.code}: {job.reason.message}" if job.reason else str(job.state))


def register_task(celery: Celery, runner: TaskRunner) -> None:
    """Register the app's only task."""

    @celery.task(
        name=TASK, bind=True, shared=False, throws=(JobFailed,)
    )  # a shared task would be added to other apps, too
    def run_job(task: Task[Any, Any], /, *, job_id: str, **_shown_in_flower: object) -> dict[str, Any]:
        job = runner.run(job_id)
        if job is not None and job.state is JobState.SUCCEEDED:
            return summary(job)
        if job is not None and job.state is JobState.FAILED:
            raise failure_of(job)
        if job is not None and job.state is JobState.CANCELLED:
            task.update_state(state="REVOKED")
            # Flower reads only events, and Celery sends none for a task that says Ignore.
            # The name again: what tells that the message was sent may come late, and has the task's own.
            name = task.request.shadow or task.name
            task.send_event("task-revoked", terminated=False, signum=None, expired=False, name=name)
        if job is not None and job.state is JobState.RETRY_WAIT:
            failure = failure_of(job)
            task.update_state(state="RETRY", meta={"exc_type": "JobFailed", "exc_message": str(failure)})
            task.send_event("task-retried", exception=str(failure))
        if job is not None and job.state is JobState.QUEUED:
            task.update_state(state="PENDING")  # Celery had marked it as started
            # So had Flower, where only this way leads back to "received".
            task.send_event("task-retried", exception="The job waits for its turn.")
            task.send_event("task-received")
        raise Ignore


def report_to(celery: Celery, job: Job, *, hostname: str) -> None:
    """Store the end of a job that had no task, so that Flower and AsyncResult agree with the record."""
    if job.state is JobState.CANCELLED:  # whoever cancelled it by a command of Celery's sends the event
        celery.backend.store_result(job.id, failure_of(job), "REVOKED")
        return
    celery.backend.store_result(job.id, failure_of(job), "FAILURE")
    with celery.events.default_dispatcher(hostname=hostname) as dispatcher:  # Flower reads only events
        dispatcher.send("task-failed", uuid=job.id, exception=str(failure_of(job)), traceback="")


def celery_name(settings: Settings) -> str:
    """Return the name by which Celery and Flower know this host's worker."""
    return f"worker@{settings.worker_host}"
