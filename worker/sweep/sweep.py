"""Keeps jobs moving when messages, workers or Redis are lost. Runs in every worker; several at once do no harm."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from shared.errors import (
    AttemptError,
    Code,
    FailureType,
    InfrastructureError,
    LeaseLost,
    StoreUnavailable,
)
from shared.jobs.model import Job, Reason
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.logs import job_context
from shared.queue import JobQueue, send_or_leave_to_sweep
from shared.settings import Settings
from worker.attempt.finishing import Finishing
from worker.attempt_name import attempt_name, attempt_of, named_context
from worker.host.offer import HostOffer
from worker.resilience import survive
from worker.runners.seam import Handle, Runner
from worker.source.checkout import GitSource
from worker.sweep.aliases import Aliases
from worker.sweep.cleaning import Cleaning

logger = logging.getLogger(__name__)

RECONCILE_EVERY_SWEEPS = 6


@dataclass
class Active:
    """The jobs that this worker supervises now."""

    _ids: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, job_id: str) -> bool:
        """Note the job; return False if it is already supervised."""
        with self._lock:
            if job_id in self._ids:
                return False
            self._ids.add(job_id)
            return True

    def discard(self, job_id: str) -> None:
        """Forget the job."""
        with self._lock:
            self._ids.discard(job_id)

    def __contains__(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._ids

    def __len__(self) -> int:
        with self._lock:
            return len(self._ids)


@dataclass(frozen=True)
class Sweep:
    """The sweep of one worker."""

    settings: Settings
    store: JobStore
    queue: JobQueue
    runner: Runner
    source: GitSource
    active: Active
    here: HostOffer
    finishing: Finishing
    cleaning: Cleaning
    aliases: Aliases
    report: Callable[[Job], None]  # to Celery's results, for a job that ends without a task
    _turns: Iterator[int] = field(default_factory=count)

    def run_until(self, stopping: threading.Event) -> None:
        """Sweep until the worker stops."""
        number = 0
        while not stopping.is_set():
            self.once(reconcile=number % RECONCILE_EVERY_SWEEPS == 0)
            number += 1
            stopping.wait(self.settings.sweep_seconds)

    def once(self, *, reconcile: bool) -> None:
        """Do one round; whatever the store or an engine cannot answer now waits for the next one."""
        steps = [self.here.find_engine, self.cleaning.look_at_disk, self._wake, self._give_up, self._recognise]
        steps += [self._adopt, self._end_lost, self.send_next, self.finishing.end_open_runs]
        steps += [self._pause_failing]
        steps += [self.reconcile, self.cleaning.tidy, self.aliases.settle] if reconcile else []
        for step in steps:
            survive(step.__name__, step)

    def send_next(self) -> None:
        """Send as many jobs as this host has free slots; jobs that lost their supervisor keep theirs."""
        jobs = self.store.take_sendable(self.here.now(), resend_after_seconds=self.settings.resend_after_seconds)
        for job in jobs:
            self._send_here(job)

    def _wake(self) -> None:
        self.store.wake_retries()

    def _give_up(self) -> None:
        reason = Reason(
            Code.QUEUE_TIMEOUT,
            FailureType.TIMEOUT,
            "The job waited too long for a free slot. Add workers to its queue or raise timeouts.queue_seconds.",
        )
        for job in map(self.store.get, self.store.find_overdue()):
            with job_context(job):
                if self.store.fail_unsupervised(job.id, reason):
                    logger.error("gave up a job that nobody took")
                    self.report(self.store.get(job.id))

    def _pause_failing(self) -> None:
        for trigger in self.store.pause_failing_triggers():
            logger.error("trigger paused", extra={"trigger": trigger.name, "cause": trigger.paused_reason})

    def _recognise(self) -> None:
        """Find what this machine ran before it was restarted; another one with its name and disk has none of it."""
        if (host := self.here.now()).machine is None:
            return
        for job in self.store.running_on(host.name):
            began = job.attempt
            if host.machine.may_have_run(machine=began.machine, engine=began.engine):
                with job_context(job, attempt=began.number):
                    if self.runner.attach(attempt_name(job)) and self.store.recognise(job.id, host=host):
                        logger.warning("attempt found after a restart of this machine")

    def _adopt(self) -> None:
        """Send what lost its supervisor, as far as there are slots: each sweep's messages for more would pile up.

        They have turns: one that this worker may not take over holds up no others.
        """
        found = self.store.find_orphans(host=self.here.name, machine=self.here.machine)
        orphans = [job_id for job_id in found if job_id not in self.active]
        first = next(self._turns) % max(1, len(orphans))
        free = max(0, self.here.slots - len(self.active))
        for job_id in [*orphans[first:], *orphans[:first]][:free]:
            job = self.store.get(job_id)
            with job_context(job, attempt=job.attempt.number):
                logger.warning("attempt has no supervisor; sending it again")
                self._send_here(job)

    def _send_here(self, job: Job) -> None:
        """Send the job to this worker only: no other worker may take it."""
        send_or_leave_to_sweep(job, queue=self.queue, unmark=self.store, host=self.here.name)

    def _end_lost(self) -> None:
        """End the attempts of hosts that were silent for too long; another attempt may follow."""
        after_seconds = self.settings.host_lost_after_seconds
        for job_id in self.store.find_lost(by=self.here.name, after_seconds=after_seconds):
            claim = self.store.take_from_lost_host(
                job_id, by=self.here.name, after_seconds=after_seconds, lease_seconds=self.settings.lease_seconds
            )
            if claim is not None:
                with job_context(claim.job, attempt=claim.attempt.number):
                    self._end_lost_attempt(claim)

    def _end_lost_attempt(self, claim: Claim) -> None:
        host, seconds = claim.job.host, self.settings.host_lost_after_seconds
        message = f"The host {host} sent no heartbeat for {seconds:g} s."
        if host == self.here.name:
            message = f"The machine that was {host} sent no heartbeat for {seconds:g} s; another has its name now."
        logger.error("host is lost", extra={"host": host})
        with suppress(LeaseLost):  # another worker was faster while the tracking server took its time
            job = self.finishing.give_up(claim, InfrastructureError(Code.HOST_LOST, message, host=host))
            if job.state.is_terminal:
                self.report(job)

    def reconcile(self) -> None:
        """Remove what ended attempts left on this host. What is listed first cannot be of a later claim."""
        handles = self.runner.list_mine()
        folders = self.source.list_names()
        names = {attempt_name(job) for job in self.store.running_on(self.settings.worker_host)}
        left = [handle for handle in handles if attempt_of(handle.name) not in names and not self._remove(handle)]
        self.here.offer_gpus(held={gpu for handle in left for gpu in handle.gpu_ids})
        for name in folders:
            if attempt_of(name) not in names:
                with named_context(name):
                    self._discard(name)

    def _discard(self, name: str) -> None:
        try:
            self.source.discard(name)
        except (OSError, ValueError) as error:  # the others must not wait for it
            logger.warning("not removed", extra={"folder": name, "cause": str(error)})

    def _remove(self, handle: Handle) -> bool:
        with named_context(handle.name):
            logger.warning("removing what an ended attempt left", extra={"container": handle.id})
            try:
                self.runner.stop(handle, grace_seconds=self.settings.stop_grace_seconds)
                self.finishing.end_lost_run(handle.name)
                self.runner.remove(handle)
            except (AttemptError, StoreUnavailable) as error:  # the others must not wait for it
                logger.warning("not removed", extra={"container": handle.id, "cause": error.message})
                return False
        return True
