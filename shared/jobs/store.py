"""The interface of a job store, on any database, split by who uses it. One contract suite tests every implementation.

Every method is one transaction, on the database's clock. Each may raise StoreUnavailable.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from shared.access.audit import Audit
from shared.access.sessions import Sessions
from shared.access.tokens import Tokens
from shared.alerts.listed import AlertCursor, AlertFilter, ToldAlert
from shared.alerts.model import Alert, Trial
from shared.jobs.model import Job, JobState, NewJob, Reason
from shared.jobs.model_teams import ModelTeams
from shared.jobs.monthly_usage import MonthlyUsage
from shared.jobs.observation_store import ModelRecord
from shared.jobs.promotions import HistoryLine, Promotion
from shared.jobs.records import Claim, Cursor, Ending, JobFilter, LogSlice, Resolution, Submission, ToLookAt
from shared.jobs.signs import Topic
from shared.jobs.statistics import Statistics, Worker
from shared.jobs.trigger_store import Triggers
from shared.jobs.waiting_limits import KnownQueues
from shared.scheduling.hosts import Host, Machine
from shared.scheduling.queue_position import QueuePosition


class Reading(Protocol):
    """What everybody may read: a job, and its log."""

    def get(self, job_id: str) -> Job:
        """Return the job, or raise JobNotFound."""

    def read_log(self, job_id: str, *, attempt: int | None, offset: int, limit: int) -> LogSlice:
        """Return at most ``limit`` bytes; ``attempt`` None is the last one, a negative offset counts from the end."""


class Submissions(Reading, Protocol):
    """What the API does with jobs: submit, read, follow and cancel them."""

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        """Record the job and the key together; raise IdempotencyKeyReused if the key belongs to another payload.

        Raises TooManyJobsQueued if as many jobs of its maker wait as may.
        """

    def known_queues(self) -> KnownQueues:
        """Return the queues that recorded workers serve, and those with a waiting job."""

    def cancel(self, job_id: str, *, force: bool) -> Job:
        """Cancel a waiting job, or have its worker stop it.

        Asking again changes nothing, except that ``force`` may be added: then the training is not left time to end.
        Raises JobNotFound, JobEnded, or StateUnknown if a later version put the job into a state of its own.
        """

    def set_priority(self, job_id: str, priority: int) -> Job:
        """Let a waiting job go before or behind others; the same priority again changes nothing.

        Raises JobNotFound, or JobNotWaiting if it has begun or ended.
        """

    def get_version(self, job_id: str) -> tuple[int, JobState]:
        """Return what a long poll compares, without reading the rest; raise JobNotFound."""

    def list(self, where: JobFilter, *, limit: int, after: Cursor | None = None) -> Sequence[Job]:
        """Return the newest jobs first, without their transitions."""

    def find_queue_position(self, job_id: str) -> QueuePosition | None:
        """Return a queued job's position and what it waits for; None if it is not queued. Raise JobNotFound."""


class Claims(Reading, Protocol):
    """What the supervisor of an attempt does. Every write carries the claim.

    Raises LeaseLost if its token is no longer the job's.
    """

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        """Begin a new attempt of a queued job, or take over one of this host whose lease ended; None if neither.

        Only the machine on which an attempt began takes it over, and only the one with the host's name begins any.
        All limits are counted here, from the jobs' own rows. A job that may not start now stays queued, marked as
        not sent. A new attempt gets its GPU devices: ``claim.attempt.gpu_ids``.
        """

    def renew(self, claim: Claim, *, lease_seconds: float) -> None:
        """Extend the lease to that long from now."""

    def release(self, claim: Claim) -> None:
        """Give the lease up and leave the job as it is, for the next worker on this host."""

    def resolve(self, claim: Claim, found: Resolution) -> None:
        """Record what the attempt resolved its inputs to."""

    def begin_start(self, claim: Claim, *, lease_seconds: float) -> bool:
        """Extend the lease, right before the attempt's container is started; return False if it must not be started.

        True only for a job that is still starting: one that is being cancelled never starts.
        """

    def started(self, claim: Claim, *, runner: str, container: str) -> None:
        """Record the container and move the job to running; a job that is being cancelled stays in that state.

        Calling it again for the same container changes nothing.
        """

    def append_log(self, claim: Claim, data: bytes, *, source_offset: int) -> None:
        """Append to the attempt's log and record how far its source was read, both or neither."""

    def finish(self, claim: Claim, ending: Ending) -> Job:
        """End the attempt and its lease; the job ends too, or waits for its next attempt.

        If the job is being cancelled, an attempt that did not succeed ends as cancelled, whatever stopped it.
        """

    def secret(self, claim: Claim) -> bytes | None:
        """Return the job's encrypted credentials; they are deleted when the job ends."""


class Scheduling(Reading, Protocol):
    """What the sweep does: find jobs to send, wake, take over, give up or delete."""

    def take_sendable(self, host: Host, *, resend_after_seconds: float) -> Sequence[Job]:
        """Mark as sent and return the next jobs that could start on this host: by priority, then age.

        Returns as many as it has free slots. Leaves out jobs that a limit holds back, and those sent less than that
        long ago.
        """

    def unmark_sent(self, job_id: str) -> None:
        """Record that the message was not sent after all."""

    def wake_retries(self) -> int:
        """Queue the jobs whose backoff is over; return how many."""

    def find_orphans(self, *, host: str, machine: Machine | None = None) -> Sequence[str]:
        """Return ids of this host's jobs whose lease has ended, except those begun on another machine of its name."""

    def recognise(self, job_id: str, *, host: Host) -> bool:
        """Record that the unsupervised attempt under way was found on this machine, so that it may go on.

        Return False if it cannot be from before this machine was restarted.
        """

    def find_overdue(self) -> Sequence[str]:
        """Return ids of jobs that have waited too long for an attempt."""

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        """Fail a job that nobody supervises and that may no longer start; return False if it moved on meanwhile."""

    def take_to_look_at(self, host: Host, *, after_seconds: float) -> ToLookAt | None:
        """Return the next job that this host could run, has waited that long, and was never begun or looked at.

        It is marked as looked at, so that nobody looks again, even if this look comes to nothing.
        """

    def find_open_runs(self) -> Sequence[tuple[str, int]]:
        """Return jobs and numbers of ended attempts whose MLflow runs may still be open or have another status."""

    def note_run_ended(self, job_id: str, *, attempt: int) -> None:
        """Record that such an attempt's run has its final status, or that there is no run."""

    def delete_ended(self, *, older_than_seconds: float, limit: int) -> int:
        """Delete jobs that ended longer ago than that, with everything that belongs to them; return how many."""


class Hosts(Protocol):
    """What is recorded about hosts: their heartbeats, which are lost, and which are drained."""

    def running_on(self, host: str) -> Sequence[Job]:
        """Return this host's supervised jobs, with or without a live lease."""

    def beat(self, host: Host, *, gap_seconds: float) -> None:
        """Record a worker's heartbeat; after a silence of more than ``gap_seconds`` its watch starts again.

        Raises HostNameTaken while another machine's worker lives under the name, with both machines in its facts, and
        records the refused one for people to see. Once that worker has left or was silent for LIVE_SECONDS, the name
        goes to whoever asks first.
        """

    def leave(self, host: str, machine: Machine | None = None) -> None:
        """Record that a host has no worker now: it has stopped, or is about to start. What it last said stays.

        Changes nothing if another machine has the name.
        """

    def forget_hosts(self, *, silent_seconds: float) -> Sequence[str]:
        """Delete and return the hosts without a heartbeat for that long, except drained ones and those with a job."""

    def find_lost(self, *, by: str, after_seconds: float) -> Sequence[str]:
        """Return ids of jobs whose lease is over and whose host sent no heartbeat for that long.

        If another machine has taken the host's name, the previous one was last heard of then at the latest. Returns
        nothing until the host ``by`` has itself watched without interruption for that long, because all hosts look
        lost after a failure of the store.
        """

    def take_from_lost_host(self, job_id: str, *, by: str, after_seconds: float, lease_seconds: float) -> Claim | None:
        """Take such a job to end its attempt, fencing off its host; return None if it is not lost, or no longer.

        The job still belongs to the lost host: if ``by`` is lost too, the next host finds it as it was.
        """

    def drain(self, host: str, *, reason: str) -> Worker:
        """Let the host take no new attempts until ``undrain``; what runs there goes on, under its next worker too.

        Once this has returned, no claim begins an attempt there. Draining again changes only the reason, or nothing
        if none is given. Raises HostNotFound.
        """

    def undrain(self, host: str) -> Worker:
        """Let the host take new attempts again; do nothing if it is not drained. Raise HostNotFound."""


class Outbox(Reading, Protocol):
    """What senders of alerts and of test messages do."""

    def get_promotion(self, promotion_id: str) -> Promotion:
        """Return what an alert about a model tells of; raise PromotionNotFound."""

    def lines_of(self, promotion_id: str) -> Sequence[HistoryLine]:
        """Return the events of one promotion, the oldest first."""

    def take_alert(self, channels: Collection[str], *, lease_seconds: float) -> Alert | None:
        """Take the alert that has been due longest; nobody else gets it before the lease ends.

        A later alert about a job, or about a model's alias, waits until the earlier ones on that channel are sent or
        given up.
        """

    def take_stray_alert(
        self, known: Collection[str], *, older_than_seconds: float, lease_seconds: float
    ) -> Alert | None:
        """Take an alert in the same way, but for an unknown channel, if it has waited for longer than that."""

    def list_alerts(self, where: AlertFilter, *, limit: int, after: AlertCursor | None = None) -> Sequence[ToldAlert]:
        """Return what was, or is to be, told to whom: the newest first, jobs' and models' alerts together."""

    def alert_sent(self, alert: Alert) -> None:
        """Record that the alert was sent: nobody gets it again."""

    def alert_failed(self, alert: Alert, *, retry_in_seconds: float | None, cause: str = "") -> None:
        """Let the alert be taken again after that long; None gives it up. The cause is for people.

        Changes nothing if the lease had ended and another sender has it.
        """

    def ask_for_trials(self, channels: Collection[str]) -> Sequence[Trial]:
        """Ask the workers for a test message to each channel."""

    def take_trial(self, channels: Collection[str]) -> Trial | None:
        """Take these channels' oldest test message that somebody may still be waiting for; nobody else ever gets it."""

    def end_trial(self, trial: Trial) -> None:
        """Record the outcome."""

    def list_trials(self, ids: Collection[str]) -> Sequence[Trial]:
        """Return these test messages, by channel; those that are long over are not kept."""


class Watching(Protocol):
    """What people and Prometheus look at."""

    def live_workers(self, *, within_seconds: float) -> int:
        """Return how many workers sent a heartbeat within that time."""

    def list_workers(self) -> Sequence[Worker]:
        """Return each host's worker, sorted by the host's name; those that are long gone are forgotten."""

    def get_statistics(self) -> Statistics:
        """Return how many jobs and alerts wait, run and have ended, all at one moment."""

    def get_sign(self, topic: Topic, *, team: str | None = None) -> str:
        """Return what is another text once something of the topic has changed; of jobs: one of the team, if given.

        It costs a few looks into indexes, however many jobs have ended.
        """

    def schema_revision(self) -> str:
        """Return the revision of the store's schema, which a newer program may have raised meanwhile."""

    def ping(self) -> None:
        """Write something and read it back; raise StoreUnavailable if that fails."""


class JobStore(
    Submissions,
    Claims,
    Scheduling,
    Hosts,
    Outbox,
    Watching,
    ModelRecord,
    Triggers,
    Tokens,
    Sessions,
    Audit,
    ModelTeams,
    MonthlyUsage,
    Protocol,
):
    """The record of all jobs: every role in one. Methods that take a claim raise LeaseLost if the job is gone, too."""
