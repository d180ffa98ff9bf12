"""Supervises one attempt from claim to end: start or attach, watch, finish, as docs/architecture.md describes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeVar

from shared.errors import (
    AttemptCancelled,
    AttemptError,
    AttemptTimeout,
    Code,
    InfrastructureError,
    InternalError,
    LeaseLost,
    StoreUnavailable,
)
from shared.jobs.model import Job, JobState
from shared.jobs.promotions import Promotion
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.attempt.course import losses, seconds_running, takeovers
from worker.attempt.evaluator import Watch
from worker.attempt.finishing import SUCCEEDED, Finishing, failure
from worker.attempt.lease import LeaseKeeper
from worker.attempt.limits import log_flood
from worker.attempt.log_keeper import LogKeeper
from worker.attempt.preparation import Preparation
from worker.attempt_name import attempt_name
from worker.cards.cards import Cards
from worker.credentials.keys import Keyring, Keys
from worker.host.disk_watch import Verdicts
from worker.interruption import LOOK_SECONDS, Interruption, SideWork, WorkerStopping
from worker.runners.seam import Exit, Handle, Runner, TellsEnds, log_bounds

logger = logging.getLogger(__name__)
T = TypeVar("T")

FIRST_POLL_SECONDS = 0.1
POLL_SECONDS = 1.0
GIVE_UP_SECONDS = 1.0  # for what was interrupted to clean up; then it is left behind
LAST_SECONDS = 5.0  # likewise when the worker stops: whatever was left behind ends with it
MOST_LOSSES = 3


@dataclass(frozen=True)
class Supervisor:
    """Supervises claimed attempts on this host; one call of `run` for each, from many threads."""

    settings: Settings
    store: JobStore
    keyring: Keyring
    preparation: Preparation
    runner: Runner
    finishing: Finishing
    stopping: threading.Event
    cards: Cards
    lease_keeper: Callable[..., LeaseKeeper] = LeaseKeeper  # a simulation uses its own threads
    side_work: Callable[..., SideWork[Handle]] = SideWork
    clock: Callable[[], float] = time.monotonic  # a machine's time of day may be changed
    verdicts: Verdicts = field(default_factory=Verdicts)

    def run(self, claim: Claim) -> Job | None:
        """Take the attempt to its end and return the job; None if it was left to another worker."""
        return self._hold(claim, lambda lease: self._supervise(claim, lease))

    def fail(self, claim: Claim, error: AttemptError) -> Job | None:
        """End the attempt for an outside reason, such as a bug of ours; return None as `run` does."""
        return self._hold(claim, lambda _lease: self._fail(claim, error, self.preparation.redactor))

    def _hold(self, claim: Claim, work: Callable[[LeaseKeeper], Job]) -> Job | None:
        with self.lease_keeper(claim, store=self.store, lease_seconds=self.settings.lease_seconds) as lease:
            try:
                job = work(lease)
                self.preparation.end(claim)
                return job
            except WorkerStopping:
                logger.info("left running for the next worker")
                with suppress(LeaseLost):
                    self.store.release(claim)
            except LeaseLost:
                logger.warning("another worker holds the job now")
        return None

    def _supervise(self, claim: Claim, lease: LeaseKeeper) -> Job:
        secrets = self.keyring.of_job(self.store.secret(claim), claim.job, claim.request)
        redactor = self.preparation.redactor.plus(secrets.all)
        decided: Sequence[Promotion] = ()
        ended: Handle | None = None
        try:
            handle = self._attach_or_start(claim, secrets, lease)
            job = self._patiently(lambda: self.store.get(claim.job.id), lease)
            known, bounds = self.preparation.redactor_of(claim, job, redactor), log_bounds(self.settings)
            logs = LogKeeper(claim, store=self.store, runner=self.runner, redactor=known, bounds=bounds)
            ending = self.finishing.ending(claim, self._watch(claim, handle, logs, lease))
            ended = handle
            if ending.reason is None:
                watch = Watch(lambda: self._check(lease))
                decided = self.finishing.decide(claim, watch, redactor)
                if decided:
                    logs.end_with("\n".join([*watch.said, *(each.reason for each in decided)]))
        except _LeftBehind as left:
            ending = replace(failure(left.error), leaves_run_open=True)  # it may be being created right now
        except AttemptError as error:
            return self._fail(claim, error, redactor)
        job = self.finishing.finish(claim, ending, redactor, decided=decided, ended=ended)
        self.cards.offer(job, decided, redactor)
        return job

    def _fail(self, claim: Claim, error: AttemptError, redactor: Redactor) -> Job:
        """End the attempt for an error, unless its model was decided about: then it had ended well before that."""
        decided = self.finishing.find_decided(claim)
        ending = SUCCEEDED if decided else failure(error)
        return self.finishing.finish(claim, ending, redactor, decided=decided)

    def _check(self, lease: LeaseKeeper) -> None:
        lease.check()
        if self.stopping.is_set():
            raise WorkerStopping

    def _attach_or_start(self, claim: Claim, secrets: Keys, lease: LeaseKeeper) -> Handle:
        if claim.job.state is JobState.STARTING:
            _refuse_if_it_kills_workers(claim)
            handle = self._start(claim, secrets, lease)
        else:
            handle = self._attach(claim, lease)
        self._patiently(lambda: self.store.started(claim, runner=self.runner.kind, container=handle.id), lease)
        logger.info("running", extra={"container": handle.id})
        return handle

    def _patiently(self, call: Callable[[], T], lease: LeaseKeeper) -> T:
        """Wait for the store if need be: the training already runs, and must be supervised."""
        while True:
            try:
                return call()
            except StoreUnavailable as error:
                logger.warning("waiting for the job store", extra={"cause": error.message})
                lease.check()
                self._pause(POLL_SECONDS)

    def _start(self, claim: Claim, secrets: Keys, lease: LeaseKeeper) -> Handle:
        """Prepare the attempt in its own thread, because some of its waits cannot be interrupted from here."""
        seconds = self.settings.lease_seconds
        interruption = Interruption(lambda: self.store.begin_start(claim, lease_seconds=seconds))
        work = self.side_work(
            lambda: self._prepare(claim, secrets, interruption), name=f"prepare-{claim.job.id}-{claim.attempt.number}"
        )
        work.start()
        while not work.wait(LOOK_SECONDS):
            try:
                self._look(claim, lease)
            except (AttemptCancelled, LeaseLost, WorkerStopping) as error:
                if interruption.interrupt(error):
                    _leave(work, interruption, error)
        return work.result()

    def _look(self, claim: Claim, lease: LeaseKeeper) -> None:
        """Raise whatever must end a preparation."""
        lease.check()
        if self.stopping.is_set():
            raise WorkerStopping
        with suppress(StoreUnavailable):  # checked again in a moment
            _version, state = self.store.get_version(claim.job.id)
            if state is JobState.CANCELLING:
                raise AttemptCancelled.on_request()

    def _prepare(self, claim: Claim, secrets: Keys, interruption: Interruption) -> Handle:
        if takeovers(claim.job) and (handle := self.runner.attach(attempt_name(claim.job))):
            return handle
        for earlier in claim.job.attempts[:-1]:
            # An engine that went away during a start may have started it: two must not run at once.
            if left := self.runner.attach(attempt_name(claim.job, earlier)):
                self.runner.stop(left, grace_seconds=self.settings.stop_grace_seconds)
                self.runner.remove(left)
        return self.preparation.start(claim, secrets, interruption)

    def _attach(self, claim: Claim, lease: LeaseKeeper) -> Handle:
        name = attempt_name(claim.job)
        while True:
            with _engine_may_be_away():
                if handle := self.runner.attach(name):
                    return handle
                raise InfrastructureError(
                    Code.CONTAINER_LOST, f"The container {name} is gone from {self.settings.worker_host}.", name=name
                )
            lease.check()
            self._pause(POLL_SECONDS)

    def _watch(self, claim: Claim, handle: Handle, logs: LogKeeper, lease: LeaseKeeper) -> Exit:
        limit_seconds = self._run_limit_seconds(claim)
        began_at, pause, is_overdue = self.clock() - seconds_running(claim), FIRST_POLL_SECONDS, False
        outcome: Exit | None = None
        while True:
            outcome = outcome or self._poll(claim, handle, logs)
            if outcome and logs.drain(handle):
                break
            lease.check()
            if outcome is None:
                logs.pump(handle)
                if self._stop_if_cancelled(claim, handle):
                    pause = FIRST_POLL_SECONDS
                elif logs.is_flood:
                    pause = FIRST_POLL_SECONDS
                    self._stop(claim, handle)
                elif self.clock() - began_at > limit_seconds:
                    is_overdue, pause = True, FIRST_POLL_SECONDS
                    self._stop(claim, handle)
            self._rest(handle, pause)
            pause = min(POLL_SECONDS, pause * 1.5)
        verdict = self.verdicts.take(handle.name)
        if verdict and outcome.exit_code != 0:  # otherwise it was done before it could be stopped
            raise verdict
        if logs.is_flood:
            raise log_flood(logs.printed_bytes, self.settings)
        if is_overdue:
            message = f"Training was stopped after {limit_seconds:g} s. Raise timeouts.run_seconds for more."
            raise AttemptTimeout(Code.RUN_TIMEOUT, message, limit_seconds=limit_seconds)
        return outcome

    def _poll(self, claim: Claim, handle: Handle, logs: LogKeeper) -> Exit | None:
        try:
            with _engine_may_be_away():
                return self.runner.poll(handle)
        except InfrastructureError:  # it is gone, but its output may still be there
            logs.drain(handle)
            raise
        return None

    def _run_limit_seconds(self, claim: Claim) -> float:
        wish = claim.request.timeouts.run_seconds
        return wish or self.settings.run_timeout_seconds

    def _stop(self, claim: Claim, handle: Handle) -> None:
        with _engine_may_be_away():
            self.runner.stop(handle, grace_seconds=self.settings.stop_grace_seconds)

    def _stop_if_cancelled(self, claim: Claim, handle: Handle) -> bool:
        try:
            _version, state = self.store.get_version(claim.job.id)
            if state is not JobState.CANCELLING:
                return False
            is_forced = self.store.get(claim.job.id).cancel_forced
        except StoreUnavailable:  # checked again in a moment
            return False
        with _engine_may_be_away():
            self.runner.stop(handle, grace_seconds=0 if is_forced else self.settings.stop_grace_seconds)
        return True

    def _rest(self, handle: Handle, seconds: float) -> None:
        if isinstance(self.runner, TellsEnds):
            self.runner.rest(handle, self.stopping, seconds)
            seconds = 0
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise WorkerStopping


class _LeftBehind(Exception):
    """The attempt is over, but its preparation still waits for an answer."""

    def __init__(self, error: AttemptError) -> None:
        super().__init__(error.message)
        self.error = error


def _leave(work: SideWork[Handle], interruption: Interruption, error: Exception) -> NoReturn:
    """Give the interrupted preparation a moment to clean up, and raise the reason."""
    has_ended = work.wait(LAST_SECONDS if isinstance(error, WorkerStopping) else GIVE_UP_SECONDS)
    if not has_ended:
        interruption.leave_behind()
        logger.warning("preparation left behind: it waits for an answer")
        if isinstance(error, AttemptError):
            raise _LeftBehind(error) from error
    raise error


@contextmanager
def _engine_may_be_away() -> Iterator[None]:
    """Ignore an engine that does not answer: the container may well be running."""
    try:
        yield
    except InfrastructureError as error:
        if error.code is not Code.DOCKER_UNAVAILABLE:
            raise
        logger.warning("cannot see the container", extra={"cause": error.message})


def _refuse_if_it_kills_workers(claim: Claim) -> None:
    """Raise if it keeps killing workers: a takeover is not an attempt, so a deadly preparation would recur forever."""
    if (count := losses(claim.job)) >= MOST_LOSSES:
        message = f"{count} workers were lost while they prepared this attempt. Their logs may say why."
        raise InternalError(Code.INTERNAL, message, losses=count)
