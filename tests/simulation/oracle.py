"""What must hold whatever happens, checked at each write from what the writes themselves say."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.jobs.model import Job, JobState
from shared.jobs.records import Claim, Submission
from shared.scheduling.hosts import Host
from shared.scheduling.limits import Limits
from tests.simulation.scheduler import Clock

FENCED = frozenset({"renew", "release", "resolve", "begin_start", "started", "append_log", "finish", "secret"})


@dataclass
class Known:
    """What the writes said of a job so far."""

    job: Job
    queued_at: float  # first
    sent_at: float  # at the latest
    token: int | None = None  # the holder's; None when nobody may write
    lease_until: float = 0.0
    attempt: int = 0
    host: Host | None = None  # where its attempt holds a slot and devices
    gpu_ids: tuple[str, ...] = ()
    cancel_asked: bool = False
    ended_as: JobState | None = None
    is_deleted: bool = False
    kept: dict[int, bytes] = field(default_factory=dict)


class Oracle:
    """Notes what must not be. It raises nothing itself: a worker's outermost frame would take that for its own."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self.known: dict[str, Known] = {}
        self.violations: list[str] = []
        self.never_begin: set[str] = set()  # jobs whose command never begins
        self.is_waiting: Callable[[str], bool] = lambda _job_id: False
        self.on_lost: Callable[[str, str], None] = lambda _job_id, _host: None

    def expect(self, holds: bool, what: str) -> None:
        """Note it when it does not hold."""
        if not holds:
            self.violations.append(what)

    def observe(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        """See what a call of the store did."""
        if name in FENCED:
            self._fenced(name, arguments[0])
        if after := getattr(self, f"_after_{name}", None):
            after(result, *arguments, **named)

    def submitted(self, submission: Submission) -> None:
        """A client got its 202."""
        now = self._clock.seconds
        self.known[submission.job.id] = Known(submission.job, queued_at=now, sent_at=now)

    def cancelled(self, job: Job) -> None:
        """A client asked for the end."""
        self.known[job.id].cancel_asked = True
        self._note_end(job)

    def began(self, job_id: str) -> None:
        """A container was started."""
        known = self.known[job_id]
        self.expect(not known.cancel_asked, f"{job_id} was started after its cancel")
        self.expect(known.token is not None, f"{job_id} was started and is nobody's")

    def _fenced(self, name: str, claim: Claim) -> None:
        known = self.known[claim.job.id]
        self.expect(known.token == claim.token, f"{name} by a fenced-out writer of {claim.job.id}")

    def _after_claim(self, claim: Claim | None, job_id: str, *, host: Host, lease_seconds: float) -> None:
        if claim is None:
            return
        known = self.known[job_id]
        self._took(known, claim, lease_seconds)
        if claim.attempt.number == known.attempt:
            self.expect(known.host is not None and _is_one(known.host, host), f"{job_id} was adopted elsewhere")
            self.expect(claim.attempt.gpu_ids == known.gpu_ids, f"{job_id} changed its devices")
            return
        self.expect(known.host is None, f"a second attempt of {job_id} while the first one runs")
        self.expect(claim.attempt.number == known.attempt + 1, f"{job_id} skipped an attempt")
        known.attempt, known.host, known.gpu_ids = claim.attempt.number, host, tuple(claim.attempt.gpu_ids)
        self._check_limits(known)

    def _after_take_from_lost_host(self, claim: Claim | None, job_id: str, *, lease_seconds: float, **_: Any) -> None:
        if claim is not None:
            known = self.known[job_id]
            self._took(known, claim, lease_seconds)
            self.expect(known.host is not None, f"{job_id} was taken from a lost host and ran nowhere")
            self.on_lost(job_id, claim.job.host or "")

    def _after_take_sendable(self, sent: Sequence[Job], _host: Host, *, resend_after_seconds: float) -> None:
        chosen = [self.known[job.id] for job in sent]
        self.expect(chosen == sorted(chosen, key=_rank), f"not in their order: {[job.id for job in sent]}")
        passed = {each.job.id for each in self.known.values() if self._is_passed(each, chosen, resend_after_seconds)}
        self.expect(not passed, f"{sorted(passed)} are passed by jobs of their key that came later: {sent}")
        for each in chosen:
            each.sent_at = self._clock.seconds

    def _is_passed(self, waiting: Known, chosen: Sequence[Known], resend_after_seconds: float) -> bool:
        """Whether one is sent that may start nowhere where this one may not; not told of what was sent lately."""
        is_open = waiting.ended_as is None and waiting.host is None
        if not is_open or waiting in chosen or self._clock.seconds - waiting.sent_at <= resend_after_seconds:
            return False
        later = [each for each in chosen if _goes_before(waiting, each)]
        return bool(later) and self.is_waiting(waiting.job.id)

    def _took(self, known: Known, claim: Claim, lease_seconds: float) -> None:
        is_free = known.token is None or known.lease_until <= self._clock.seconds
        self.expect(is_free, f"{known.job.id} was taken from the holder of a lease")
        self.expect(known.ended_as is None, f"{known.job.id} was taken after its end")
        known.token, known.lease_until = claim.token, self._clock.seconds + lease_seconds

    def _after_renew(self, _result: None, claim: Claim, *, lease_seconds: float) -> None:
        self.known[claim.job.id].lease_until = self._clock.seconds + lease_seconds

    def _after_release(self, _result: None, claim: Claim) -> None:
        self.known[claim.job.id].token = None

    def _after_propose(self, _promotion: object, _new: object, *, claim: Claim | None = None, **_: Any) -> None:
        if claim is not None:
            self._fenced("propose", claim)

    def _after_append_log(self, _result: None, claim: Claim, data: bytes, **_: Any) -> None:
        kept = self.known[claim.job.id].kept
        kept[claim.attempt.number] = kept.get(claim.attempt.number, b"") + data

    def _after_finish(self, job: Job, claim: Claim, _ending: object) -> None:
        known, begins = self.known[claim.job.id], job.id not in self.never_begin
        self.expect(begins or job.state is not JobState.SUCCEEDED, f"{job.id} never began and succeeded")
        known.token, known.host, known.gpu_ids = None, None, ()
        self._note_end(job)

    def _after_fail_unsupervised(self, has_failed: bool, job_id: str, _reason: object) -> None:
        if has_failed:
            known = self.known[job_id]
            self.expect(known.ended_as is None, f"{job_id} ended twice")
            self.expect(known.host is None, f"{job_id} was given up while it ran")
            known.ended_as = JobState.FAILED

    def _note_end(self, job: Job) -> None:
        known = self.known[job.id]
        if job.state.is_terminal:
            self.expect(known.ended_as is None, f"{job.id} ended twice: {known.ended_as}, {job.state}")
            known.ended_as = job.state

    def _check_limits(self, new: Known) -> None:
        running = [known for known in self.known.values() if known.host is not None]
        key, host = new.job.concurrency_key, new.host
        assert host is not None
        here = [known for known in running if known.host is not None and known.host.name == host.name]
        same_key = sum(known.job.concurrency_key == key for known in running)
        self.expect(
            same_key <= dict(self._limits.by_key).get(key, self._limits.per_key), f"{same_key} jobs of {key} at once"
        )
        self.expect(len(running) <= (self._limits.total or len(running)), f"{len(running)} jobs at once")
        self.expect(len(here) <= host.slots, f"{len(here)} jobs on the {host.slots} slots of {host.name}")
        self.expect(len(new.gpu_ids) == new.job.gpus, f"{new.job.id} got the devices {new.gpu_ids}")
        self.expect(set(new.gpu_ids) <= set(host.gpus), f"{new.job.id} got devices that {host.name} did not offer")
        held = Counter(gpu for known in here for gpu in known.gpu_ids)
        self.expect(all(count == 1 for count in held.values()), f"devices given twice on {host.name}: {held}")


def _rank(known: Known) -> tuple[int, float]:
    """A job's place in the line, whatever became of it since: by priority, then by when it was first queued."""
    return -known.job.priority, known.queued_at


def _goes_before(one: Known, other: Known) -> bool:
    """Whether nothing but its place could have kept this one from being sent: devices may be kept for the other."""
    same_key = one.job.concurrency_key == other.job.concurrency_key
    return same_key and not one.job.gpus and _rank(one) < _rank(other)


def _is_one(one: Host, other: Host) -> bool:
    """Whether both are the same machine."""
    machines = [host.machine.id if host.machine else None for host in (one, other)]
    return one.name == other.name and machines[0] == machines[1]
