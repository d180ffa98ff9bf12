"""Training that takes whatever it can get, all of it at the same time: each ends with its reason, the others go on."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests

from tests.drill.faults.scene import Kind, Scene
from tests.drill.machine import Machine
from tests.drill.sampling import Violated, Violation
from tests.drill.stack import DEFAULT, DOCKER
from tests.support.waiting import wait_until

ACCEPT_SECONDS = 30
END_SECONDS = 120


@dataclass(frozen=True)
class Greedy:
    """One such job, and the code with which it must end."""

    what: str
    queue: str
    code: str
    memory: str | None = None


FLOOD, FULL = "LOG_FLOOD", "DISK_FULL"
BY_PROCESS = (
    Greedy("flood", DEFAULT, FLOOD),
    Greedy("fill", DEFAULT, FULL),
    Greedy("bomb", DEFAULT, "SOURCE_TOO_LARGE"),
)
IN_CONTAINERS = (Greedy("flood", DOCKER, FLOOD), Greedy("eat", DOCKER, "OOM_KILLED", memory="64m"))


def greedy_kind(machine: Machine) -> Kind:
    """All of them that this machine can bear: the disk must be a small one, and memory needs a container."""
    jobs = [job for job in BY_PROCESS if job.code != FULL or machine.has_small_disks]
    jobs += IN_CONTAINERS if machine.engine else ()

    def inject(scene: Scene) -> None:
        scene.load.burst(3)
        sent = {_submit(scene, job): job for job in jobs}
        with suppress(AssertionError):
            wait_until(lambda: not _open(scene, sent), timeout_seconds=END_SECONDS)
        if late := _open(scene, sent):
            raise Violated([Violation(f"{sent[job_id]} has not ended", job_id) for job_id in late])
        ended = {job_id: scene.sampler.jobs[job_id].reason_code for job_id in sent}
        assert ended == {job_id: job.code for job_id, job in sent.items()}, f"{ended} instead of {sent}"

    return Kind("greedy training", {"2,000 MB of output, the disk, all memory, a tree bomb": inject})


def _open(scene: Scene, job_ids: Iterable[str]) -> list[str]:
    known = scene.sampler.jobs
    return [job_id for job_id in job_ids if job_id not in known or not known[job_id].is_terminal]


def _submit(scene: Scene, job: Greedy) -> str:
    is_bomb = job.what == "bomb"
    folder = "docker" if scene.stack.trains_in_containers(job.queue) else "process"
    body: dict[str, Any] = {
        "experiment_name": f"drill-{job.queue}",
        "git_uri": (scene.stack.tree_bomb if is_bomb else scene.stack.repository).uri,
        "MLproject_location": "" if is_bomb else f"greedy-{folder}",
        "entry_point": "main" if is_bomb else job.what,
        "queue": job.queue,
        "concurrency_key": f"greedy-{job.what}-{job.queue}",
        "resources": {"memory": job.memory},
        "retry": {"max_attempts": 1},
    }
    answer = requests.post(f"{scene.stack.url}/retrain", json=body, timeout=ACCEPT_SECONDS)
    assert answer.status_code == 202, f"a greedy job was answered {answer.status_code}: {answer.text[:500]}"
    job_id: str = answer.json()["id"]
    return job_id
