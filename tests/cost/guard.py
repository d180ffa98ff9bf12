"""What the guard costs a job: two stacks with one MLflow, the first one's, take turns, one of them past the guard."""

import os
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.projects import mlproject, repository
from tests.cost.evaluation import DOCKERS_POOLS
from tests.cost.tables import pair_titles, paired, say
from tests.support.network.ports import free_port
from tests.support.servers.example_image import build_example_image
from tests.support.servers.stack import Stack
from worker.runners.docker.networks import bridge_address

SAY_WHEN = "python3 -c 'import time; print(time.time())'"
EXAMPLE = ROOT / "examples/sklearn-dummy"
Seen = tuple[float, float]  # from the request to the first line, and to the job's end


def measure(folder: Path, rounds: int) -> None:
    """Print a row for the first line, for a job that does nothing, and for the example's whole job."""
    build_example_image("sklearn-dummy")
    host = bridge_address(os.environ)
    assert host, "Docker has no default bridge"
    with ExitStack() as at_end:
        port = free_port()
        # Not by its loopback address: then the second stack would start a server of its own.
        past = {
            "MLFLOW_TRACKING_URI": f"http://{host}:{port}",
            "CONTAINER_TRACKING_URI": f"http://host.docker.internal:{port}",
        }
        own = {"MLFLOW_SERVER_HOST": "0.0.0.0", "MLFLOW_ALLOWED_HOSTS": f"{host}:{port}"}
        stacks = []
        for name, more in (("with", own), ("without", past)):
            settings = {"TRAINING_ALLOWED_NETWORKS": DOCKERS_POOLS, "SLOTS": "1", **more}
            stacks.append(Stack(folder / name, "docker", settings))
            stacks[-1].ports["mlflow"] = port
            at_end.callback(_end, stacks[-1])
            stacks[-1].start()
        nothing = repository(folder / "nothing", {"MLproject": mlproject(SAY_WHEN)})
        files = {name: (EXAMPLE / name).read_text() for name in ("MLproject", "train.py")}
        files["MLproject"] = files["MLproject"].replace('"python train.py', f'"{SAY_WHEN}; python train.py')
        example = repository(folder / "example", files)
        pair_titles()
        empty = _pairs(stacks, nothing, rounds * 3)
        whole = _pairs(stacks, example, rounds)
        for name, found, index in (
            ("first line", empty, 0),
            ("a job that does nothing", empty, 1),
            ("first line of the example", whole, 0),
            ("the example's whole job", whole, 1),
        ):
            paired(name, *([seen[index] for seen in side] for side in found))
        say(f"\n{rounds * 3} pairs of jobs that do nothing, {rounds} of the example")


def _end(stack: Stack) -> None:
    if stack.process is not None:
        stack.process.terminate()
        stack.wait_for_end()
    stack.clean()


def _pairs(stacks: list[Stack], git_uri: str, rounds: int) -> tuple[list[Seen], list[Seen]]:
    found: tuple[list[Seen], list[Seen]] = ([], [])
    for number in range(rounds + 1):
        order = (0, 1) if number % 2 else (1, 0)
        for side in order:
            found[side].append(_train(stacks[side], git_uri, is_guarded=side == 0))
    return found[0][1:], found[1][1:]  # the first ones warm up


def _train(stack: Stack, git_uri: str, *, is_guarded: bool) -> Seen:
    name = f"cost-{uuid.uuid4().hex[:8]}"  # each model a first version: no two differ in what they do
    body = {"experiment_name": "cost", "git_uri": git_uri, "model_name": name}
    job = stack.wait(stack.post(body), timeout_seconds=300)
    log = stack.job_log(job)
    assert job["state"] == "succeeded", (job["reason"], log)
    if promotion := job.get("promotion"):
        assert promotion["enforced"] == is_guarded, promotion
    return float(log.split()[0]) - _moment(job, "created_at"), _moment(job, "ended_at") - _moment(job, "created_at")


def _moment(job: Mapping[str, Any], name: str) -> float:
    return datetime.fromisoformat(job[name]).timestamp()
