"""After many jobs: what the service keeps is the mirror cache and its records, and nothing else is left."""

import io
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound
from mlflow.tracking import MlflowClient

from tests.acceptance.support.checkout import git
from tests.acceptance.support.projects import mlproject, repository
from tests.support.engines import docker_or_skip
from tests.support.length import rounds
from tests.support.servers.stack import Stack, running_stack
from tests.support.waiting import wait_until

JOBS = rounds(20, long=50)
SETTINGS = {"SLOTS": "4", "PYTHONDONTWRITEBYTECODE": "1"}
ALL_ENDED_SECONDS = 240
CLEAN_SECONDS = 20


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient) -> Iterator[str]:
    """An image of this test alone, so that what is made from it can be told; it wants an anonymous volume."""
    dockerfile = f"FROM python:3.11-slim\nVOLUME /data\nRUN echo {uuid.uuid4()} >/unique\n"
    tag = f"nothing-left-{uuid.uuid4().hex[:12]}"
    engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=tag, rm=True, timeout=120)
    yield tag
    engine.images.remove(tag, force=True)


def images_made_from(engine: docker.DockerClient, tag: str) -> list[str]:
    """The images whose lowest layers are this one's; other programs' images, and their going, do not disturb."""
    layers = engine.images.get(tag).attrs["RootFS"]["Layers"]
    made = []
    for found in engine.api.images(all=True, quiet=True):
        with suppress(ImageNotFound):
            if engine.images.get(found).attrs["RootFS"]["Layers"][: len(layers)] == layers:
                made.append(str(found))
    return made


@contextmanager
def mounted_volumes(engine: docker.DockerClient) -> Iterator[dict[str, str]]:
    """Collect which container mounts which volume, as the engine reports it."""
    seen: dict[str, str] = {}
    events = engine.events(decode=True, filters={"type": "volume", "event": "mount"})

    def collect() -> None:
        for event in events:
            seen[event["Actor"]["ID"]] = event["Actor"]["Attributes"]["container"]

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        yield seen
    finally:
        events.close()
        thread.join()


def files_below(folder: Path) -> list[str]:
    """Everything in a folder, by its path in it; a folder that is not there is empty."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def two_branches(folder: Path, image: str) -> str:
    """A project whose branch main trains and whose branch broken ends with exit code 3; its address."""
    git_uri = repository(folder, {"MLproject": mlproject("echo fine > /data/file", image=image)})
    git("-C", str(folder), "checkout", "--quiet", "-b", "broken")
    (folder / "MLproject").write_text(mlproject("echo broken; exit 3", image=image))
    git("-C", str(folder), "commit", "--quiet", "--all", "--message", "Break it")
    git("-C", str(folder), "checkout", "--quiet", "main")
    return git_uri


def expected_state(number: int) -> str:
    """How a job ends: every fifth badly, and the first one."""
    return "failed" if number == 0 or number % 5 == 4 else "succeeded"


def submit(stack: Stack, git_uri: str, number: int) -> dict[str, Any]:
    """Submit one of the jobs; half of those that fail have another attempt."""
    names = {"experiment_name": f"many-{number % 5}", "concurrency_key": f"key-{number}"}
    body: dict[str, Any] = {**names, "git_uri": git_uri}
    if number % 5 == 4:
        retry = {"max_attempts": 2, "on": ["user_error"], "initial_delay_seconds": 0}
        body |= {"commit_hash": "broken", "retry": retry if number % 10 == 9 else {}}
    if number == 0:
        body |= {"commit_hash": "no-such-branch"}
    return stack.post(body)


def assert_runs_are_over(stack: Stack, attempts: list[dict[str, Any]]) -> None:
    """Every attempt that got as far as a run has closed it."""
    client = MlflowClient(stack.urls["mlflow"])
    statuses = {bool(each["reason"]): set[str]() for each in attempts}
    for each in attempts:
        statuses[bool(each["reason"])].add(client.get_run(each["run_id"]).info.status)
    assert statuses == {True: {"FAILED"}, False: {"FINISHED"}}
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    assert client.search_runs(ids, "attributes.status = 'RUNNING'") == []


def test_after_many_jobs_nothing_is_left_but_the_mirror_and_the_records(
    engine: docker.DockerClient, image: str, clone: Path, tmp_path: Path
) -> None:
    git_uri = two_branches(tmp_path / "project", image)
    before = git("-C", str(clone), "status", "--porcelain", "--ignored")
    with (
        running_stack(tmp_path / "stack", runner="docker", settings=SETTINGS, checkout=clone) as stack,
        mounted_volumes(engine) as volumes,
    ):
        jobs = [submit(stack, git_uri, number) for number in range(JOBS)]
        ended = [stack.wait(job, timeout_seconds=ALL_ENDED_SECONDS) for job in jobs]
        assert [job["state"] for job in ended] == [expected_state(number) for number in range(JOBS)]
        attempts = [attempt for job in ended for attempt in job["attempts"]]
        assert len(attempts) == JOBS + JOBS // 10
        assert_runs_are_over(stack, [attempt for attempt in attempts if attempt["run_id"]])

        wait_until(lambda: not stack.containers(all_states=True), timeout_seconds=CLEAN_SECONDS, what="no container")
        containers = {attempt["container"] for attempt in attempts if attempt["container"]}
        assert len(containers) == JOBS + JOBS // 10 - 1
        assert set(volumes.values()) >= containers
        ours = {volume for volume, container in volumes.items() if container in containers}
        assert ours & {each["Name"] for each in engine.api.volumes()["Volumes"] or []} == set()
        assert images_made_from(engine, image) == [str(engine.images.get(image).id)]
        assert files_below(stack.data / "work") == [stack.host]
        assert sorted(path.suffix for path in (stack.data / "mirrors").iterdir()) == [".git", ".lock"]
        assert files_below(stack.folder / "tmp") == []
        assert files_below(stack.folder / "home") == []
    assert files_below(stack.folder / "tmp") == []
    assert git("-C", str(clone), "status", "--porcelain", "--ignored") == before
