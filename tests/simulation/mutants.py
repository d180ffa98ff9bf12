"""The code with one of its safeguards taken out. The state machine must find each of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shared.jobs.model import SUPERVISED, Job
from shared.jobs.promotions import NewPromotion, Promotion, PromotionState
from shared.jobs.records import Claim, Ending
from shared.promoting import Registry
from shared.scheduling.hosts import Host, Machine
from shared.sql import SqlStore
from shared.sql.engine import Transaction
from shared.sql.rows import read_job
from shared.sql.tables import jobs
from tests.fakes.records import Record, is_due, nobody_holds
from tests.fakes.runner import FakeHost, FakeRunner, Script
from tests.fakes.store import MemoryStore
from worker.attempt.deciding import Deciding
from worker.attempt.finishing import Finishing
from worker.interruption import NEVER, Interruption
from worker.runners.seam import AttemptSpec, Exit, Handle

LONG = timedelta(days=1)


class UnfencedStore(MemoryStore):
    """Takes what any holder writes, also one that was fenced out."""

    @contextmanager
    def _fenced(self, claim: Claim) -> Iterator[tuple[Record, datetime]]:
        with self._transaction() as now:
            yield self._record(claim.job.id), now


class GreedyStore(MemoryStore):
    """Gives a job to whoever asks, also while another one holds it."""

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        record = self._records.get(job_id)
        if record is not None and record.is_supervised:
            record.job = replace(record.job, host=host.name, lease_expires_at=None)
        return super().claim(job_id, host=host, lease_seconds=lease_seconds)


class CarelessStore(MemoryStore):
    """Does not look once more right before the start."""

    def begin_start(self, claim: Claim, *, lease_seconds: float) -> bool:
        return True


class HastyStore(MemoryStore):
    """Lets a host judge the others as soon as it is back itself."""

    def beat(self, host: Host, *, gap_seconds: float) -> None:
        super().beat(host, gap_seconds=gap_seconds)
        known = self._beats[host.name]
        self._beats[host.name] = replace(known, watching_since=known.seen_at - LONG)


class ImpatientStore(MemoryStore):
    """Puts a job that is tried again behind all that came in the meantime."""

    def wake_retries(self) -> int:
        with self._transaction() as now:
            due = [record for record in self._records.values() if is_due(record.job, now)]
            for record in due:
                record.job = replace(record.job, created_at=now)
        return super().wake_retries()


class NamesakeStore(MemoryStore):
    """Takes every machine for the host whose name it has."""

    def _has_name(self, host: Host) -> bool:
        return True

    def _is_here(self, job: Job, host: Host) -> bool:
        return job.host == host.name

    def find_orphans(self, *, host: str, machine: Machine | None = None) -> Sequence[str]:
        with self._transaction() as now:
            return [job.id for job in self._supervised_on(host) if nobody_holds(job, now)]


class UnfencedSqlStore(SqlStore):
    """UnfencedStore's twin."""

    @contextmanager
    def _fenced(self, claim: Claim) -> Iterator[tuple[Transaction, sa.Row[Any]]]:
        with self.writing() as transaction:
            yield transaction, read_job(transaction, claim.job.id, for_update=True)


class GreedySqlStore(SqlStore):
    """GreedyStore's twin."""

    def claim(self, job_id: str, *, host: Host, lease_seconds: float) -> Claim | None:
        """Take the job from whoever holds it."""
        held = (jobs.c.id == job_id, jobs.c.state.in_(SUPERVISED))
        with self.writing() as transaction:
            transaction.execute(sa.update(jobs).where(*held).values(host=host.name, lease_expires_at=None))
        return super().claim(job_id, host=host, lease_seconds=lease_seconds)


class ForgetfulRunner(FakeRunner):
    """Does not find what an earlier worker started, and starts it anew."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(Script(hangs=True), host=host)

    def attach(self, name: str) -> Handle | None:
        """Find nothing."""
        self._answer()
        return None


class HeedlessRunner(FakeRunner):
    """Starts what was interrupted."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(Script(hangs=True), host=host)

    def start_or_attach(self, spec: AttemptSpec, interruption: Interruption = NEVER) -> Handle:
        """Ask nobody."""
        return super().start_or_attach(spec)


class UnfreezableRunner(FakeRunner):
    """Lets a training go on that its worker freezes because it is cut off."""

    def __init__(self, host: FakeHost) -> None:
        super().__init__(Script(hangs=True), host=host)

    def pause(self, handle: Handle) -> None:
        """Do nothing."""
        self._answer()


class BelievingFinishing(Finishing):
    """Takes the exit code for what it says, whether or not the command began."""

    def ending(self, claim: Claim, outcome: Exit) -> Ending:
        """Look at nothing else."""
        return super().ending(claim, replace(outcome, not_begun=None))


class CrowdedStore(MemoryStore):
    """Lets everybody move an alias, also while another does."""

    def begin_move(self, promotion_id: str, *, seconds: float) -> Promotion:
        return super().begin_move(promotion_id, seconds=0)


class StubbornStore(MemoryStore):
    """Takes a decision that was made about an earlier champion."""

    def _require_unmoved(self, new: NewPromotion, seen: int, *, state: PromotionState) -> None:
        super()._require_unmoved(new, self._last(new.model, new.alias), state=state)


class ForgetfulStore(MemoryStore):
    """Records a decision again when the next worker makes it again."""

    def _earlier(self, new: NewPromotion) -> Promotion | None:
        return None


def find_nothing(_deciding: Deciding, _case: object) -> None:
    """Find no decision that was recorded earlier."""


def move_champion_first(registry: Registry, begun: Promotion, _check: object) -> None:
    """Leave the previous one for later."""
    registry.move_alias(begun.model, begun.alias, str(begun.version))
    if begun.before is not None:
        registry.move_alias(begun.model, begun.previous_alias, begun.before)


def move_unrecorded(deciding: Deciding, *of: Any) -> NewPromotion:
    """Move the alias before the decision is recorded."""
    new = AS_NEW(deciding, *of)
    if new.state is PromotionState.MOVING:
        deciding.gate.move_alias(new.model, new.alias, str(new.version))
    return new


AS_NEW = Deciding._as_new
"""The real one, from before it was replaced."""
