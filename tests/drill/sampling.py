"""Looks at the store, at all processes and at the engine, again and again, and notes whatever must never be seen."""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from tests.drill.records import JobRow, Records
from tests.drill.stack import SLOTS
from tests.support.servers.docker_engine import OwnEngine

SAMPLE_SECONDS = 0.12
ENGINE_SAMPLE_SECONDS = 0.4
ENGINE_TIMEOUT_SECONDS = 10
LIMIT_PER_KEY = 1


@dataclass(frozen=True)
class Violation:
    """Something that must never be."""

    what: str
    job_id: str | None = None


class Violated(Exception):
    """Something that must hold did not."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(f"{len(violations)} violations")
        self.violations = violations


class Sampler:
    """Samples in threads of its own. ``jobs`` is what the store said last."""

    def __init__(
        self, records: Records, engine: OwnEngine | None, look: Callable[[], Sequence["Violation"]] = tuple
    ) -> None:
        self.jobs: dict[str, JobRow] = {}
        self.violations: list[Violation] = []
        self.samples = 0
        self._records = records
        self._engine = engine
        self._look = look
        self._ended: dict[str, JobRow] = {}
        self._containers: dict[str, str] = {}
        self._window: set[str] = set()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._sample, name="sampler")]
        if engine is not None:
            self._threads.append(threading.Thread(target=self._sample_engine, name="engine-sampler"))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; stopping twice is no error."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def open_jobs(self) -> int:
        """How many jobs have not ended."""
        return sum(not job.is_terminal for job in self.jobs.values())

    def begin_window(self) -> None:
        """Forget which jobs were under way."""
        self._window = set()

    def seen_in_window(self) -> set[str]:
        """The jobs that were queued or under way since the window began."""
        return set(self._window)

    def _sample(self) -> None:
        while not self._stopping.wait(SAMPLE_SECONDS):
            jobs = self._records.find_jobs()
            if jobs is not None:
                self._check_jobs(jobs)
                self.jobs = jobs
            self._check_processes()
            for violation in self._look():
                self._violated(violation.what)
            self._window |= {job.id for job in self.jobs.values() if not job.is_terminal}
            self.samples += 1

    def _check_jobs(self, jobs: dict[str, JobRow]) -> None:
        for job_id, ended in self._ended.items():
            if jobs.get(job_id) != ended:
                self._violated(f"an ended job changed: {ended} -> {jobs.get(job_id)}", job_id)
        self._ended = {job.id: job for job in jobs.values() if job.is_terminal}
        supervised = [job for job in jobs.values() if job.is_supervised]
        by_key = Counter(job.concurrency_key for job in supervised)
        by_host = Counter(job.host for job in supervised)
        for key, count in by_key.items():
            if count > LIMIT_PER_KEY:
                self._violated(f"{count} jobs at once under the key {key}: {_ids(supervised, key)}")
        for host, count in by_host.items():
            if count > SLOTS:
                self._violated(f"{count} jobs at once on {host}, which has {SLOTS} slots")

    def _check_processes(self) -> None:
        running = defaultdict(set)
        for job_id, attempt, pid in trainings():
            if job_id in self.jobs:
                running[job_id].add((attempt, pid))
        for job_id, found in running.items():
            if len(found) > 1:
                self._violated(f"{len(found)} trainings at once (attempt, pid): {sorted(found)}", job_id)

    def _sample_engine(self) -> None:
        assert self._engine is not None
        client = docker.APIClient(base_url=self._engine.url, timeout=ENGINE_TIMEOUT_SECONDS)
        while not self._stopping.wait(ENGINE_SAMPLE_SECONDS):
            try:
                found = client.containers(all=True, filters={"label": "retrain.job"})
            except (DockerException, RequestException):
                continue
            for each in found:
                self._check_container(each["Id"], [name.lstrip("/") for name in each["Names"] or ()])
        client.close()

    def _check_container(self, container_id: str, names: Iterable[str]) -> None:
        for name in names:
            known = self._containers.setdefault(name, container_id)
            if known != container_id:
                self._violated(f"a second container for {name}: {known[:12]}, {container_id[:12]}")

    def _violated(self, what: str, job_id: str | None = None) -> None:
        violation = Violation(what, job_id)
        if violation not in self.violations:
            self.violations.append(violation)


def trainings() -> list[tuple[str, int, int]]:
    """All running scripts of this machine, in containers too: job, attempt and process id."""
    found: dict[int, tuple[str, int, int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if words[:2] == ["sh", "lines.sh"]:
            found[int(folder.name)] = (words[2], int(words[3]), parent)
    # What a script starts shows the script's own words for a moment, before it becomes another program.
    return [(job, attempt, pid) for pid, (job, attempt, parent) in found.items() if parent not in found]


def _ids(jobs: Iterable[JobRow], key: str) -> list[str]:
    return [job.id for job in jobs if job.concurrency_key == key]
