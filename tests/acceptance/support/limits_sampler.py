"""Looks twenty times a second at what runs: at the jobs in the store, and at the processes that really train."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
import sqlalchemy as sa

from shared.jobs.model import JobState
from shared.scheduling.queue_position import QueuePosition
from shared.sql import SqlStore
from shared.sql.tables import attempts, jobs

SAMPLE_SECONDS = 0.05
SUPERVISED = tuple(state.value for state in (JobState.STARTING, JobState.RUNNING, JobState.CANCELLING))


@dataclass(frozen=True)
class Held:
    """What one job holds: its key, and devices of its host."""

    job_id: str
    key: str | None
    host: str | None
    gpu_ids: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """What the store said of one waiting job, and when it was asked."""

    job_id: str
    said: QueuePosition
    asked_at: datetime
    answered_at: datetime


@dataclass
class Sampler:
    """Samples of one store and of the trainings below these folders."""

    store: SqlStore
    folders: Sequence[Path]
    in_store: list[list[Held]] = field(default_factory=list)
    in_processes: list[list[Held]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    @contextmanager
    def sampling(self, job_ids: Sequence[str]) -> Iterator[None]:
        """Sample until the end of the block, asking for the place of one job of these each time."""
        stop = threading.Event()
        thread = threading.Thread(target=self._sample_until, args=(stop, job_ids))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def held_now(self) -> list[Held]:
        """What the jobs of the store hold at this moment, in one statement; a lease counts, too."""
        statement = (
            sa.select(jobs.c.id, jobs.c.concurrency_key, jobs.c.host, attempts.c.gpu_ids)
            .outerjoin(attempts, sa.and_(attempts.c.job_id == jobs.c.id, attempts.c.number == jobs.c.attempt))
            .where(sa.or_(jobs.c.state.in_(SUPERVISED), jobs.c.lease_expires_at.is_not(None)))
        )
        with self.store.reading() as transaction:
            return [
                Held(row.id, row.concurrency_key, row.host, tuple(row.gpu_ids or ()))
                for row in transaction.all(statement)
            ]

    def excesses(self, *, limit_total: int) -> list[str]:
        """Every limit that a sample shows exceeded."""
        return [text for held in (*self.in_store, *self.in_processes) for text in _excesses(held, limit_total)]

    @property
    def most_at_once(self) -> int:
        """The highest number of jobs that were seen at the same time."""
        return max(len(held) for held in self.in_store)

    @property
    def devices_seen(self) -> set[tuple[str | None, str]]:
        """The devices that trainings had."""
        return {(each.host, gpu) for held in self.in_processes for each in held for gpu in each.gpu_ids}

    def _sample_until(self, stop: threading.Event, job_ids: Sequence[str]) -> None:
        due = time.monotonic()
        while not stop.wait(max(0, due - time.monotonic())):
            due = max(due, time.monotonic() - SAMPLE_SECONDS) + SAMPLE_SECONDS  # a late one moves those after it
            self.in_store.append(self.held_now())
            self.in_processes.append(self._training_now())
            self._ask(random.choice(job_ids))  # noqa: S311 - any will do

    def _ask(self, job_id: str) -> None:
        asked_at = datetime.now(UTC)
        said = self.store.find_queue_position(job_id)
        if said is not None:
            self.places.append(Place(job_id, said, asked_at, datetime.now(UTC)))

    def _training_now(self) -> list[Held]:
        """What trains: processes are seen one after the other, so only those count that live on when all were seen."""
        seen = {process: held for process in psutil.process_iter() if (held := self._held_by(process))}
        return list({held for process, held in seen.items() if process.is_running()})

    def _held_by(self, process: psutil.Process) -> Held | None:
        """What a training process holds: one that works in <host>/<attempt>/code; its launcher, outside, trains not."""
        with suppress(psutil.Error, OSError):
            environment, folder = process.environ(), Path(process.cwd())
            job_id = environment.get("RETRAIN_JOB_ID")
            if job_id and folder.name == "code" and any(folder.is_relative_to(each) for each in self.folders):
                devices = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
                gpu_ids = tuple(each for each in devices if each not in ("", "-1"))
                return Held(job_id, None, folder.parents[1].name, gpu_ids)
        return None


def _excesses(held: Sequence[Held], limit_total: int) -> Iterator[str]:
    if len(held) > limit_total:
        yield f"more than {limit_total} at once: {held}"
    keys = Counter(each.key for each in held if each.key)
    devices = Counter((each.host, gpu) for each in held for gpu in each.gpu_ids)
    for what, number in (*keys.items(), *devices.items()):
        if number > 1:
            yield f"{what} is held {number} times: {held}"
