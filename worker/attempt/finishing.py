"""Ends an attempt: first its MLflow run, then the job, and only then is the container removed."""

import logging
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import (
    AttemptError,
    Code,
    FailureType,
    InfrastructureError,
    JobNotFound,
    LeaseLost,
    UserError,
)
from shared.jobs.model import Attempt, Job, JobState, Reason, RetryPolicy
from shared.jobs.promotions import Promotion
from shared.jobs.records import Claim, Ending, as_cancelled
from shared.jobs.store import JobStore
from shared.logs import job_context
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.attempt.course import takeovers
from worker.attempt.deciding import Deciding, result_of
from worker.attempt.evaluator import Watch
from worker.attempt.last_words import failed_step, hint, telling_line
from worker.attempt.limits import out_of_memory
from worker.attempt.patience import patiently
from worker.attempt_name import attempt_name, attempt_of, parse_attempt_name
from worker.runners.seam import Exit, Handle, Runner
from worker.tracking.client import RunResult, Tracking

logger = logging.getLogger(__name__)
T = TypeVar("T")

LAST_OUTPUT_BYTES = 1 << 16  # a line of another pipe may follow the exception, and be a table or a whole environment
LOG_READ_BYTES = 1 << 20
SUCCEEDED = Ending(JobState.SUCCEEDED, exit_code=0)


@dataclass(frozen=True)
class Finishing:
    """Ends attempts. Each step may be repeated, even by the next worker, wherever it was interrupted."""

    settings: Settings
    store: JobStore
    runner: Runner
    tracking: Tracking
    stopping: threading.Event
    deciding: Deciding
    clock: Callable[[], float] = time.monotonic
    aside: Callable[[Callable[[], None]], None] = lambda work: work()  # for what the next job need not wait for

    @property
    def scratch(self) -> Path:
        """The folder for this worker's temporary files. The next worker empties it, because a worker may be killed."""
        return self.settings.data_dir / "scratch" / self.settings.worker_host

    def ending(self, claim: Claim, outcome: Exit) -> Ending:
        """Return how the attempt ended, by its exit code."""
        error: AttemptError
        if outcome.oom_killed:
            error = out_of_memory(outcome, claim.request.resources)
        elif outcome.not_begun:
            error = outcome.not_begun
        elif outcome.exit_code != 0:
            error = UserError(Code.NONZERO_EXIT, self._why_it_failed(claim, outcome.exit_code))
        else:
            return SUCCEEDED
        return replace(failure(error), exit_code=outcome.exit_code, oom_killed=outcome.oom_killed)

    def decide(self, claim: Claim, watch: Watch, redactor: Redactor) -> Sequence[Promotion]:
        """Decide about the models of a training that has ended with 0."""
        return self._patiently(lambda: self.deciding.run(claim, watch, redactor))

    def find_decided(self, claim: Claim) -> Sequence[Promotion]:
        """Return what was decided for this attempt: if anything, it had ended with 0, whatever happened since."""
        return self._patiently(lambda: self.store.of_attempt(claim.job.id, claim.attempt.number))

    def finish(
        self,
        claim: Claim,
        ending: Ending,
        redactor: Redactor,
        *,
        decided: Sequence[Promotion] = (),
        ended: Handle | None = None,
    ) -> Job:
        """End run, job and container; return the job as it is then. Raise LeaseLost before touching another's run.

        ``ended`` is what ran the attempt, if this worker saw it end.
        """
        job = self._patiently(lambda: self._get_held(claim))
        if decided or ended is None or claim.job.state is not JobState.STARTING:  # otherwise, it never had any
            self._clear_parts_away(claim)  # first, so that none goes on in a run that was ended
        ending = as_cancelled(ending) if job.state is JobState.CANCELLING else ending
        ending = self._with_retry(
            claim, self._with_decision(self._end_run(job, ending, is_sure=bool(decided)), decided), redactor
        )
        ending = self._noted(claim, replace(ending, result=redactor.within(ending.result)))
        job = self._patiently(lambda: self.store.finish(claim, ending))
        code = job.reason.code if job.reason else None
        logger.info("attempt ended", extra={"state": job.state, "reason": code})
        if ended and self.runner.inside.runs_images:  # a container that has ended runs nothing, and holds no device
            self.aside(partial(self._clear_away, claim, ended))
        else:
            self._clear_away(claim, ended)
        return job

    def _with_decision(self, ending: Ending, decided: Sequence[Promotion]) -> Ending:
        """Add what was decided; without that, a decision in the run's tags is the training's own."""
        shown = result_of(decided, is_enforced=self.deciding.is_enforced)
        if ending.result is None and shown is None:
            return ending
        result = ending.result or {"metrics": {}, "model_versions": _versions(decided)}
        own = {**said, "enforced": False} if (said := result.get("decision")) else None
        return replace(ending, result={**result, "decision": shown or own})

    def _get_held(self, claim: Claim) -> Job:
        self.store.renew(claim, lease_seconds=self.settings.lease_seconds)  # fenced
        job = self.store.get(claim.job.id)
        if job.attempt.number != claim.attempt.number:
            raise LeaseLost(f"Job {job.id} has another attempt now.", job_id=job.id)
        return job

    def _end_run(self, job: Job, ending: Ending, *, is_sure: bool) -> Ending:
        """End the attempt's run if it is known and nobody may be using it; return the ending with the run's result.

        A success is one only with that result, unless it ``is_sure``, because its model was decided about.
        """
        if ending.leaves_run_open:
            return ending
        if job.attempt.run_id is None:
            return replace(ending, leaves_run_open=_may_have_left_a_run(job, ending))
        try:
            return replace(ending, result=self._patiently(lambda: self._close_run(job, job.attempt, ending.reason)))
        except AttemptError as error:
            logger.error("run not closed", extra={"cause": error.message})
            # Without the run's result nobody knows what became of the model.
            return replace(ending if ending.reason or is_sure else failure(error), leaves_run_open=True)

    def end_open_runs(self) -> None:
        """End the runs that could not be ended with their attempts; many workers may do it at once."""
        for job_id, number in self.store.find_open_runs():
            with suppress(JobNotFound):  # deleted meanwhile, and the note with it
                job = self.store.get(job_id)
                attempt = next(each for each in job.attempts if each.number == number)
                with job_context(job, attempt=number):
                    self._close_run(job, attempt, attempt.failure)
                self.store.note_run_ended(job_id, attempt=number)

    def give_up(self, claim: Claim, reason: AttemptError) -> Job:
        """End the attempt of a lost host; raise, and end nothing, if the run or the store does not answer now.

        The run is fenced first: the training may go on out of reach, and must not promote its model.
        """
        if decided := self.store.of_attempt(claim.job.id, claim.attempt.number):  # it had ended before that
            self._close_run(claim.job, claim.attempt, None)
            return self.store.finish(claim, self._with_decision(SUCCEEDED, decided))
        ending = as_cancelled(failure(reason)) if claim.job.state is JobState.CANCELLING else failure(reason)
        if run_id := self._find_run(claim.job, claim.attempt):
            self.tracking.fence_run(run_id)
            self._close_run(claim.job, claim.attempt, ending.reason)
        return self.store.finish(claim, self._with_retry(claim, ending, Redactor.of(())))

    def end_lost_run(self, name: str) -> None:
        """End the run of a given-up attempt once more, because its training may have ended it differently."""
        named = parse_attempt_name(name)
        with suppress(JobNotFound):
            for attempt in self.store.get(named.job_id).attempts:
                is_lost = attempt.reason is not None and attempt.reason.code is Code.HOST_LOST
                if is_lost and attempt.run_id and attempt.number == named.number:
                    self.tracking.finish_run(attempt.run_id, "FAILED")

    def _why_it_failed(self, claim: Claim, exit_code: int) -> str:
        output = self._last_output(claim)
        said, advice = telling_line(output), hint(output)
        parts = (f"Training ended with exit code {exit_code}.", f"Its last output: {said}" if said else "", advice)
        return " ".join(part for part in parts if part)

    def _noted(self, claim: Claim, ending: Ending) -> Ending:
        """Add to a success what its log says of a step that failed, last of all: to everything else it is a success."""
        if ending.state is not JobState.SUCCEEDED or not (note := failed_step(self._last_output(claim))):
            return ending
        return replace(ending, reason=Reason.of(UserError(Code.STEP_FAILED, note)))

    def _last_output(self, claim: Claim) -> bytes:
        tail = self._patiently(
            lambda: self.store.read_log(
                claim.job.id, attempt=claim.attempt.number, offset=-LAST_OUTPUT_BYTES, limit=LAST_OUTPUT_BYTES
            )
        )
        return tail.data

    def _find_run(self, job: Job, attempt: Attempt) -> str | None:
        """Return the attempt's run; it may exist but not be recorded, if the answer or the worker was lost."""
        return attempt.run_id or self.tracking.find_run(job.experiment_name, job_id=job.id, attempt=attempt.number)

    def _close_run(self, job: Job, attempt: Attempt, reason: Reason | None) -> dict[str, Any] | None:
        run_id = self._find_run(job, attempt)
        if run_id is None:
            return None
        found = self._close_with_log(job.id, attempt.number, run_id, _run_status(reason))
        if reason is not None:
            return {"refused": list(found.refused)} if found.refused and self.runner.inside.is_guarded else None
        versions = [{"name": name, "version": version} for name, version in found.model_versions]
        result = {"metrics": dict(found.metrics), "model_versions": versions, "decision": found.decision}
        used = {"dataset": found.dataset, "base_model": found.base_model}
        told = {"refused": list(found.refused)} if found.refused else {}
        return result | told | {kind: dict(fields) for kind, fields in used.items() if fields}

    def _close_with_log(self, job_id: str, number: int, run_id: str, status: str) -> RunResult:
        try:
            self.scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                path = Path(folder) / f"attempt-{number}.log"
                self._copy_log(job_id, number, path)
                return self.tracking.close_run(run_id, status, path)
        except OSError as error:
            message = f"The log could not be written to {self.scratch}: {error.strerror or type(error).__name__}."
            raise InfrastructureError(Code.DISK_FULL, message) from error

    def _copy_log(self, job_id: str, number: int, path: Path) -> None:
        offset = 0
        with path.open("wb") as file:
            while part := self.store.read_log(job_id, attempt=number, offset=offset, limit=LOG_READ_BYTES).data:
                file.write(part)
                offset += len(part)

    def _with_retry(self, claim: Claim, ending: Ending, redactor: Redactor) -> Ending:
        if ending.reason is None:
            return ending
        reason = replace(ending.reason, message=redactor.text(ending.reason.message))
        policy = self._retry_policy(claim)
        delay = policy.delay_seconds(claim.attempt.number, reason, random.random())  # noqa: S311 - jitter
        return replace(ending, reason=reason, retry_in_seconds=delay)

    def _retry_policy(self, claim: Claim) -> RetryPolicy:
        return self.settings.retry_policy(claim.request.retry)

    def _clear_parts_away(self, claim: Claim) -> None:
        name = attempt_name(claim.job)
        with _left_to_the_sweep(name):
            for handle in self.runner.list_mine():
                if attempt_of(handle.name) == name != handle.name:
                    self._remove(handle)

    def _clear_away(self, claim: Claim, ended: Handle | None) -> None:
        name = attempt_name(claim.job)
        with _left_to_the_sweep(name):
            if handle := ended or self.runner.attach(name):
                self._remove(handle)

    def _remove(self, handle: Handle) -> None:
        self.runner.stop(handle, grace_seconds=self.settings.stop_grace_seconds)
        self.runner.remove(handle)

    def _patiently(self, call: Callable[[], T]) -> T:
        return patiently(call, stopping=self.stopping, clock=self.clock)


@contextmanager
def _left_to_the_sweep(name: str) -> Iterator[None]:
    try:
        yield
    except AttemptError as error:  # the job has ended, whatever is left here
        logger.warning("container not removed; the sweep will", extra={"container": name, "cause": error.message})


def _versions(decided: Sequence[Promotion]) -> list[dict[str, Any]]:
    return [{"name": each.model, "version": each.version} for each in decided if each.version is not None]


def failure(error: AttemptError) -> Ending:
    """Return the ending for an error."""
    return Ending(JobState.FAILED, Reason.of(error))


def _may_have_left_a_run(job: Job, ending: Ending) -> bool:
    """Return whether a run may exist whose id is not recorded, because the answer or the worker was lost."""
    if ending.reason is None:
        return False
    is_telling = ending.reason.code in (Code.TRACKING_UNAVAILABLE, Code.USER_CANCELLED, Code.INTERNAL)
    return is_telling or takeovers(job) > 0


def _run_status(reason: Reason | None) -> str:
    if reason is None:
        return "FINISHED"
    return "KILLED" if reason.type in (FailureType.TIMEOUT, FailureType.CANCELLED) else "FAILED"
