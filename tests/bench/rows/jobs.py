"""What a job in a container costs, beside `docker run` by hand with the same image and command."""

import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from tests.acceptance.support.projects import IMAGE, mlproject, repository
from tests.bench.row import Options, Row
from tests.bench.samples import Sample
from tests.support.servers.stack import Stack, running_stack
from tests.support.waiting import wait_until

BY_HAND = "docker run --rm"
TELL_TIME = "date +%s.%N"
SHELL_LOOP = f"seq $0 | xargs -P $1 -I_ docker run --rm {IMAGE} true"
HAND_SECONDS = 600
ROUNDS = 4  # jobs for each slot, in the rows about many
CPU_JOBS = 6
IDLE_SECONDS = 2.0
DEFAULTS = {"SWEEP_SECONDS": "5"}  # which tests shorten


@dataclass(frozen=True)
class Work:
    """A stack, and two projects for it: one tells the time, the other does nothing."""

    stack: Stack
    telling: str
    nothing: str
    slots: int

    def submit(self, git_uri: str) -> dict[str, Any]:
        """Submit a job that no other one keeps waiting."""
        body = {"experiment_name": "bench", "git_uri": git_uri, "concurrency_key": uuid.uuid4().hex}
        return self.stack.post(body)

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job, as soon as it has ended; it must have succeeded."""
        seen = self.stack.get(f"/jobs/{job['id']}", wait=60).json()
        assert seen["state"] == "succeeded", seen["reason"]
        return dict(seen)

    def settle(self) -> None:
        """Wait until the worker has tidied up, so that it does not disturb what is measured next."""
        wait_until(lambda: not self.stack.containers(all_states=True), what="removed containers")
        time.sleep(0.2)


def working(slots: int, settings: Mapping[str, str] = DEFAULTS) -> Callable[[Options], Any]:
    """Make a place: a stack with so many slots that trains in containers."""

    @contextmanager
    def place(_: Options) -> Iterator[Work]:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            telling = repository(folder / "telling", {"MLproject": mlproject(TELL_TIME)})
            nothing = repository(folder / "nothing", {"MLproject": mlproject("true")})
            asked = {**settings, "SLOTS": str(slots)}
            with running_stack(folder / "stack", runner="docker", settings=asked) as stack:
                yield Work(stack, telling, nothing, slots)

    return place


def _first_line(work: Work) -> Iterator[Sample]:
    """Both clocks are this machine's: a container has no other."""
    while True:
        began = time.time()
        job = work.submit(work.telling)
        work.ended(job)
        ours = _told(work.stack.job_log(job)) - began
        work.settle()
        yield Sample(ours * 1000, first_line_by_hand() * 1000)


def first_line_by_hand() -> float:
    """Seconds from `docker run` to the first line of what runs in it."""
    began = time.time()
    return _told(_docker_run(*TELL_TIME.split())) - began


def _told(output: str) -> float:
    return float(output.splitlines()[0])


def _whole_job(work: Work) -> Iterator[Sample]:
    while True:
        job = work.ended(work.submit(work.nothing))
        seconds = (_at(job["ended_at"]) - _at(job["created_at"])).total_seconds()
        work.settle()
        yield Sample(seconds * 1000, _timed(lambda: _docker_run("true")) * 1000)


def _whole_job_of_client(work: Work) -> Iterator[Sample]:
    while True:
        ours = _timed(lambda: work.ended(work.submit(work.nothing)))
        work.settle()
        yield Sample(ours * 1000, _timed(lambda: _docker_run("true")) * 1000)


def _jobs_a_minute(work: Work) -> Iterator[Sample]:
    count = work.slots * ROUNDS
    while True:
        ours = _timed(lambda: work_off(work, count))
        work.settle()
        yield Sample(60 * count / ours, 60 * count / _timed(lambda: _shell_loop(count, work.slots)))


def work_off(work: Work, count: int) -> None:
    """Submit so many jobs at once, and wait until all have ended."""
    for job in [work.submit(work.nothing) for _ in range(count)]:
        work.ended(job)


def _cpu(work: Work) -> Iterator[Sample]:
    """The whole machine's CPU, less what it uses when nothing is asked: processes that have ended count, too."""
    while True:
        ours = _cpu_seconds(lambda: work_off(work, CPU_JOBS), then=work.settle)
        theirs = _cpu_seconds(lambda: _shell_loop(CPU_JOBS, work.slots))
        yield Sample(ours / CPU_JOBS * 1000, theirs / CPU_JOBS * 1000)


def _cpu_seconds(act: Callable[[], object], *, then: Callable[[], object] = lambda: None) -> float:
    before, began = _busy(), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    idle, quiet = _busy(), time.perf_counter()
    act()
    then()
    return (_busy() - idle) - (idle - before) / (quiet - began) * (time.perf_counter() - quiet)


def _busy() -> float:
    """Seconds of CPU that this machine has used."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _docker_run(*command: str) -> str:
    return subprocess.run(
        ["docker", "run", "--rm", IMAGE, *command], capture_output=True, text=True, check=True, timeout=HAND_SECONDS
    ).stdout


def _shell_loop(count: int, slots: int) -> None:
    subprocess.run(["sh", "-c", SHELL_LOOP, str(count), str(slots)], check=True, timeout=HAND_SECONDS)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


two_slots, eight_slots = working(2), working(8)
LOOP = "shell loop"
ROWS = [
    Row("first-line", "submit to the training's first line", "ms", BY_HAND, two_slots, _first_line),
    Row("whole-job", "no-op job, in its record", "ms", BY_HAND, two_slots, _whole_job),
    Row("whole-job-client", "no-op job, for a client in ?wait=", "ms", BY_HAND, two_slots, _whole_job_of_client),
    Row("cpu", "CPU of a no-op job, all processes", "ms", LOOP, two_slots, _cpu, samples=5, warm_up=1),
    Row("jobs-2-slots", "no-op jobs, 2 slots", "/min", LOOP, two_slots, _jobs_a_minute, samples=5, warm_up=1),
    Row("jobs-8-slots", "no-op jobs, 8 slots", "/min", LOOP, eight_slots, _jobs_a_minute, samples=5, warm_up=1),
]
