"""What a job store promises, on any database, by the role of who asks. One contract suite holds all of them to it.

Every method is one transaction, on the database's clock. Each may raise StoreUnavailable.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from shared.alerts.model import Alert, Trial
from shared.jobs.model import Job, JobState, NewJob, Reason
from shared.jobs.records import Claim, Cursor, Ending, JobFilter, LogSlice, Resolution, Submission
from shared.jobs.statistics import Statistics, Worker
from shared.scheduling.hosts import Host, Machine
from shared.scheduling.queue_position import QueuePosition


class Reading(Protocol):
    """What everybody may look at: a job, and its log."""

    def get(self, job_id: str) -> Job:
        """Return the job, or raise JobNotFound."""

    def read_log(self, job_id: str, *, attempt: int | None, offset: int, limit: int) -> LogSlice:
        """Return at most ``limit`` bytes; ``attempt`` None is the last one, a negative offset counts from the end."""


class Submissions(Reading, Protocol):
    """What the API asks for a job: that it is made, read, followed and cancelled."""

    def submit(self, new: NewJob, *, idempotency_key: str | None = None, payload_hash: str = "") -> Submission:
        """Record the job and the key together; IdempotencyKeyReused when the key stands for another payload."""

    def cancel(self, job_id: str, *, force: bool) -> Job:
        """Cancel a job that waits, or have its worker stop it; JobEnded when it has ended, StateUnknown where a
        later version put it into a state of its own, JobNotFound.

        Asking again changes nothing, but ``force`` may be added: then nobody waits for the training to end by itself.
        """

    def get_version(self, job_id: str) -> tuple[int, JobState]:
        """Return what a long poll compares, without reading the rest; JobNotFound."""

    def list(self, where: JobFilter, *, limit: int, after: Cursor | None = None) -> Sequence[Job]:
        """Return the newest jobs first, without their transitions."""

    def find_queue_position(self, job_id: str) -> QueuePosition | None:
        """Where a queued job stands and what it waits for; None for one that is not queued; JobNotFound."""


class Claims(Reading, Protocol):
    """What the supervisor of an attempt asks. Every write carries the claim.

    LeaseLost when its token is no longer the job's.
    """

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        """Take a queued job as a new attempt, or go on with one of this host whose lease ended; None if neither.

        Only the machine that an attempt began on goes on with it, and only the one that has the host's name begins any.
        All limits are counted here, from the jobs' own rows. A job that may not start now stays queued, marked as
        not sent. A new attempt gets its GPU devices: ``claim.attempt.gpu_ids``.
        """

    def renew(self, claim: Claim, *, lease_seconds: float) -> None:
        """Make the lease last that long from now."""

    def release(self, claim: Claim) -> None:
        """Give the lease up and leave the job as it is, for the next worker on this host."""

    def resolve(self, claim: Claim, found: Resolution) -> None:
        """Record what the attempt found out about its inputs."""

    def begin_start(self, claim: Claim, *, lease_seconds: float) -> bool:
        """Make the lease last that long, right before the attempt's container is started; False: it must not be.

        It is False for every job but one that is still starting: one that is being cancelled never starts.
        """

    def started(self, claim: Claim, *, runner: str, container: str) -> None:
        """Record the container and move the job to running; one that is being cancelled stays so.

        Calling it again for the same one changes nothing.
        """

    def append_log(self, claim: Claim, data: bytes, *, source_offset: int) -> None:
        """Add to the attempt's log and record how far its source was read, both or neither."""

    def finish(self, claim: Claim, ending: Ending) -> Job:
        """End the attempt: the job ends with it, or waits for the next one. Ends the lease.

        An attempt that did not succeed, of a job that is being cancelled, ends as cancelled, whatever stopped it.
        """

    def secret(self, claim: Claim) -> bytes | None:
        """The job's encrypted credentials; gone once the job has ended."""


class Scheduling(Reading, Protocol):
    """What the sweep asks: which jobs to send, wake, take over, give up or delete."""

    def take_sendable(self, host: Host, *, resend_after_seconds: float) -> Sequence[Job]:
        """Mark as sent, and return, the next jobs that could start on this host: by priority, then age.

        As many as it has free slots. Jobs that a limit holds back, and those sent less than that long ago, are left
        out.
        """

    def unmark_sent(self, job_id: str) -> None:
        """Say that the message was not sent after all."""

    def wake_retries(self) -> int:
        """Queue the jobs whose backoff is over; return how many."""

    def find_orphans(self, *, host: str, machine: Machine | None = None) -> Sequence[str]:
        """Ids of this host's jobs whose lease has ended, without those that began on another machine of its name."""

    def recognise(self, job_id: str, *, host: Host) -> bool:
        """Say that the attempt under way, which nobody supervises, was found on this machine, so that it may go on.

        False for one that cannot be from before this machine was started again.
        """

    def find_overdue(self) -> Sequence[str]:
        """Ids of jobs that have waited for an attempt longer than they may."""

    def fail_unsupervised(self, job_id: str, reason: Reason) -> bool:
        """Fail a job that nobody supervises and none may start any more; False when it moved on meanwhile."""

    def find_open_runs(self) -> Sequence[tuple[str, int]]:
        """Jobs, and numbers of their ended attempts, whose MLflow runs may not have the end that the attempts have."""

    def note_run_ended(self, job_id: str, *, attempt: int) -> None:
        """Say that such an attempt's run has its end, or that there is none."""

    def delete_ended(self, *, older_than_seconds: float, limit: int) -> int:
        """Delete jobs that ended longer ago than that, with all that is kept of them; return how many."""


class Hosts(Protocol):
    """What is kept of hosts: their signs of life, those that were lost, and that one is drained."""

    def running_on(self, host: str) -> Sequence[Job]:
        """This host's supervised jobs, with or without a live lease."""

    def beat(self, host: Host, *, gap_seconds: float) -> None:
        """Record a worker's sign of life; after a silence of more than ``gap_seconds`` its watch begins anew.

        HostNameTaken while a worker of another machine lives under the name, with both machines in its facts and what
        it refused kept for people to see: the name goes to whoever asks first when it has left or was silent for
        LIVE_SECONDS.
        """

    def leave(self, host: str, machine: Machine | None = None) -> None:
        """Say that a host has no worker now: it has stopped, or is about to be started. What it last said stays.

        Changes nothing when another machine has the name.
        """

    def forget_hosts(self, *, silent_seconds: float) -> Sequence[str]:
        """Delete, and name, the hosts without a sign of life for that long; not drained ones, nor those with a job."""

    def find_lost(self, *, by: str, after_seconds: float) -> Sequence[str]:
        """Ids of jobs whose lease is over and whose host gave no sign of life for that long.

        Where another machine has taken the host's name, the one before was last heard of then at the latest. None at
        all while the host ``by`` has not itself watched without interruption for that long: after a failure of the
        store all hosts look lost.
        """

    def take_from_lost_host(self, job_id: str, *, by: str, after_seconds: float, lease_seconds: float) -> Claim | None:
        """Take such a job to end its attempt, fencing its host out; None when it is not lost (any more).

        The job stays the lost host's: if ``by`` is lost too, the next one finds it as it was.
        """

    def drain(self, host: str, *, reason: str) -> Worker:
        """Let the host take no new attempts until ``undrain``; what runs there goes on, under its next worker too.

        Once this has returned no claim begins an attempt there. Draining again changes the reason alone, and without
        one nothing. HostNotFound.
        """

    def undrain(self, host: str) -> Worker:
        """Let the host take new attempts again; one that is not drained is left as it is. HostNotFound."""


class Outbox(Reading, Protocol):
    """What senders of alerts ask, and who sends a test message."""

    def take_alert(self, channels: Collection[str], *, lease_seconds: float) -> Alert | None:
        """Take the alert that has been due for longest; nobody else gets it before the lease ends.

        A job's later alert waits until its earlier ones on that channel are sent or given up.
        """

    def take_stray_alert(
        self, known: Collection[str], *, older_than_seconds: float, lease_seconds: float
    ) -> Alert | None:
        """Likewise, of those for channels that are not among the known ones and that wait for longer than that."""

    def alert_sent(self, alert: Alert) -> None:
        """Record that the alert was sent: nobody gets it again."""

    def alert_failed(self, alert: Alert, *, retry_in_seconds: float | None) -> None:
        """Let the alert be taken again after so long, None to give it up.

        Changes nothing when the lease had ended and another sender has it.
        """

    def ask_for_trials(self, channels: Collection[str]) -> Sequence[Trial]:
        """Ask the workers for a test message to each channel."""

    def take_trial(self, channels: Collection[str]) -> Trial | None:
        """Take the oldest trial of these channels that somebody may still wait for; nobody else gets it, ever."""

    def end_trial(self, trial: Trial) -> None:
        """Record what became of it."""

    def list_trials(self, ids: Collection[str]) -> Sequence[Trial]:
        """Return these trials, by channel; those that are long over are not kept."""


class Watching(Protocol):
    """What people and Prometheus look at."""

    def live_workers(self, *, within_seconds: float) -> int:
        """How many workers gave a sign of life within that time."""

    def list_workers(self) -> Sequence[Worker]:
        """Return each host's worker, by the hosts' names; those that are long gone are forgotten."""

    def get_statistics(self) -> Statistics:
        """Return how much waits, runs and has ended, all at one moment."""

    def schema_revision(self) -> str:
        """Return the revision of the store's schema, which a newer program may have raised meanwhile."""

    def ping(self) -> None:
        """Write something and read it back; StoreUnavailable when that fails."""


class JobStore(Submissions, Claims, Scheduling, Hosts, Outbox, Watching, Protocol):
    """The truth about jobs: all roles in one. Methods that take a claim raise LeaseLost when the job is gone, too."""
