"""The end of an attempt: the MLflow run gets its end, then the job, and only then is the container removed."""

import logging
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.errors import (
    AttemptError,
    Code,
    FailureType,
    InfrastructureError,
    JobNotFound,
    LeaseLost,
    StoreUnavailable,
    UserError,
)
from shared.jobs import Job, JobState, Reason, RetryPolicy
from shared.retrain_request import RetrainRequest, Retry
from shared.settings import Settings
from shared.store import Claim, Ending, JobStore, as_cancelled
from shared.vault import Redactor
from worker.preparation import attempt_name
from worker.runner import Exit, Runner
from worker.tracking import Tracking

logger = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE_SECONDS = 600  # for a store or tracking server that is away
FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 10
LAST_OUTPUT_BYTES = 4096
LAST_OUTPUT_CHARACTERS = 300
LOG_READ_BYTES = 1 << 20
EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")


class WorkerStopping(Exception):
    """The worker was told to stop: leave the container for the next one."""


@dataclass(frozen=True)
class Finishing:
    """Ends attempts. All of it may be done again, by the next worker too, if it breaks off at any point."""

    settings: Settings
    store: JobStore
    runner: Runner
    tracking: Tracking
    stopping: threading.Event
    clock: Callable[[], float] = time.monotonic

    def ending(self, claim: Claim, outcome: Exit) -> Ending:
        """How the attempt ended, as the exit code tells it."""
        if outcome.oom_killed:
            message = "Training used more memory than it may and was killed. Raise resources.memory."
            error = UserError(Code.OOM_KILLED, message)
        elif outcome.exit_code != 0:
            said = self._last_output(claim)
            said = f" Its last output: {said}" if said else ""
            error = UserError(Code.NONZERO_EXIT, f"Training ended with exit code {outcome.exit_code}.{said}")
        else:
            return Ending(JobState.SUCCEEDED, exit_code=0)
        return replace(failure(error), exit_code=outcome.exit_code, oom_killed=outcome.oom_killed)

    def finish(self, claim: Claim, ending: Ending, redactor: Redactor) -> Job:
        """End run, job and container; return the job as it is then. LeaseLost before it touches another's run."""
        job = self._patiently(lambda: self._get_held(claim))
        ending = as_cancelled(ending) if job.state is JobState.CANCELLING else ending
        ending = self._with_retry(claim, self._end_run(job, ending), redactor)
        job = self._patiently(lambda: self.store.finish(claim, ending))
        if job.state is JobState.CANCELLED and ending.state is not JobState.CANCELLED:
            self._try_to_end_run(job, as_cancelled(ending))  # the cancel came after the run had got its end
        code = job.reason.code if job.reason else None
        logger.info("attempt ended", extra={"job_id": job.id, "state": job.state, "reason": code})
        self._clear_away(claim)
        return job

    def _get_held(self, claim: Claim) -> Job:
        self.store.renew(claim, lease_seconds=self.settings.lease_seconds)  # fenced
        job = self.store.get(claim.job.id)
        if job.attempt.number != claim.attempt.number:
            raise LeaseLost(f"Job {job.id} has another attempt now.", job_id=job.id)
        return job

    def _end_run(self, job: Job, ending: Ending) -> Ending:
        """End the attempt's run, if it has one; the ending with the run's result."""
        if job.attempt.run_id is None:
            if _may_have_left_a_run(ending):
                self._try_to_end_run(job, ending)
            return ending
        try:
            return replace(ending, result=self._patiently(lambda: self._close_run(job, ending)))
        except AttemptError as error:
            logger.error("run not closed", extra={"job_id": job.id, "cause": error.message})
            # Without the run's result nobody knows what became of the model.
            return ending if ending.reason else failure(error)

    def _try_to_end_run(self, job: Job, ending: Ending) -> None:
        """One try: where the tracking server is away, the job's next attempt must not wait for it here."""
        try:
            self._close_run(job, ending)
        except AttemptError as error:
            logger.warning("run not ended", extra={"job_id": job.id, "cause": error.message})

    def give_up(self, claim: Claim, reason: AttemptError) -> Job:
        """End the attempt of a host that is lost; where run or store cannot be ended now, this raises and ends none.

        The run is fenced first: the training may go on where nobody can reach it, and must not promote its model.
        """
        ending = as_cancelled(failure(reason)) if claim.job.state is JobState.CANCELLING else failure(reason)
        if run_id := self._find_run(claim.job):
            self.tracking.fence_run(run_id)
            self._close_run(claim.job, ending)
        return self.store.finish(claim, self._with_retry(claim, ending, Redactor.of(())))

    def end_lost_run(self, name: str) -> None:
        """Give the run of an attempt that was given up its end once more: its training has ended it by itself."""
        job_id, _, number = name.removeprefix("retrain-").rpartition("-")
        with suppress(JobNotFound):
            for attempt in self.store.get(job_id).attempts:
                is_lost = attempt.reason is not None and attempt.reason.code is Code.HOST_LOST
                if is_lost and attempt.run_id and str(attempt.number) == number:
                    self.tracking.finish_run(attempt.run_id, "FAILED")

    def _last_output(self, claim: Claim) -> str:
        tail = self._patiently(
            lambda: self.store.read_log(
                claim.job.id, attempt=claim.attempt.number, offset=-LAST_OUTPUT_BYTES, limit=LAST_OUTPUT_BYTES
            )
        )
        lines = [line.strip() for line in tail.data.decode(errors="replace").replace("\r", "\n").split("\n")]
        # Output and errors are two pipes, so what was printed before a traceback may stand behind it.
        telling = [line for line in lines if EXCEPTION.match(line)] or [line for line in lines if line]
        return telling[-1][:LAST_OUTPUT_CHARACTERS] if telling else ""

    def _find_run(self, job: Job) -> str | None:
        """The attempt's run; one that was made may not be recorded, when the answer or the worker was lost then."""
        attempt = job.attempt
        return attempt.run_id or self.tracking.find_run(job.experiment_name, job_id=job.id, attempt=attempt.number)

    def _close_run(self, job: Job, ending: Ending) -> dict[str, Any] | None:
        run_id = self._find_run(job)
        if run_id is None:
            return None
        self._save_log(job, run_id)
        self.tracking.finish_run(run_id, _run_status(ending))
        if ending.reason is not None:
            return None
        found = self.tracking.result(run_id)
        versions = [{"name": name, "version": version} for name, version in found.model_versions]
        return {"metrics": dict(found.metrics), "model_versions": versions, "decision": found.decision}

    def _save_log(self, job: Job, run_id: str) -> None:
        number, offset = job.attempt.number, 0
        with tempfile.TemporaryDirectory(prefix="retrain-log-") as folder:
            path = Path(folder) / f"attempt-{number}.log"
            with path.open("wb") as file:
                while part := self._log_part(job, offset):
                    file.write(part)
                    offset += len(part)
            self.tracking.log_file(run_id, path, "retrain")

    def _log_part(self, job: Job, offset: int) -> bytes:
        read = self.store.read_log(job.id, attempt=job.attempt.number, offset=offset, limit=LOG_READ_BYTES)
        return read.data

    def _with_retry(self, claim: Claim, ending: Ending, redactor: Redactor) -> Ending:
        if ending.reason is None:
            return ending
        reason = replace(ending.reason, message=redactor.text(ending.reason.message))
        policy = self._retry_policy(claim)
        delay = policy.delay_seconds(claim.attempt.number, reason, random.random())  # noqa: S311 - jitter
        return replace(ending, reason=reason, retry_in_seconds=delay)

    def _retry_policy(self, claim: Claim) -> RetryPolicy:
        try:
            wish = RetrainRequest.model_validate(claim.job.request).retry
        except ValidationError:  # recorded by another version of this program: its wishes cannot be read
            wish = Retry()
        return self.settings.retry_policy(wish)

    def _clear_away(self, claim: Claim) -> None:
        name = attempt_name(claim.job)
        try:
            if handle := self.runner.attach(name):
                self.runner.stop(handle, grace_seconds=self.settings.stop_grace_seconds)
                self.runner.remove(handle)
        except AttemptError as error:  # the job has ended, whatever is still lying here
            logger.warning("container not removed; the sweep will", extra={"container": name, "cause": error.message})

    def _patiently(self, call: Callable[[], T]) -> T:
        """Call again while the store or the tracking server is away, up to a limit."""
        deadline, pause = self.clock() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except (StoreUnavailable, InfrastructureError) as error:
                if self.clock() > deadline:
                    raise
                logger.warning("waiting to report the end", extra={"cause": error.message})
                if self.stopping.wait(pause):
                    raise WorkerStopping from error
                pause = min(LAST_PAUSE_SECONDS, pause * 2)


def failure(error: AttemptError) -> Ending:
    """The ending that an error stands for."""
    return Ending(JobState.FAILED, Reason.of(error))


def _may_have_left_a_run(ending: Ending) -> bool:
    return ending.reason is not None and ending.reason.code in (
        Code.TRACKING_UNAVAILABLE,
        Code.USER_CANCELLED,
        Code.INTERNAL,
    )


def _run_status(ending: Ending) -> str:
    if ending.reason is None:
        return "FINISHED"
    return "KILLED" if ending.reason.type in (FailureType.TIMEOUT, FailureType.CANCELLED) else "FAILED"
