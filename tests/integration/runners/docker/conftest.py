"""A runner on a real engine, attempts for it, and images made for a test."""

import io
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from shared.errors import AttemptError
from tests.support.engines import docker_or_skip
from tests.support.waiting import wait_until
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import AttemptSpec, Exit, Handle

IMAGE = "python:3.11-slim"
HOST = f"test-{secrets.token_hex(4)}"
MIB = 1024 * 1024


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture
def runner(engine: docker.DockerClient) -> Iterator[DockerRunner]:
    runner = DockerRunner(os.environ, host=HOST)
    yield runner
    for handle in runner.list_mine():
        runner.remove(handle)
    runner.close()


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., AttemptSpec]:
    def make(command: str, *, image: str | None = IMAGE, **fields: Any) -> AttemptSpec:
        job_id = secrets.token_hex(6)
        return AttemptSpec(job_id=job_id, attempt=2, image=image, command=command, source=tmp_path, **fields)

    return make


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[Callable[[str], str]]:
    """Build an image from the lines of a Dockerfile; it is removed afterwards."""
    built: list[str] = []

    def build(lines: str) -> str:
        dockerfile = io.BytesIO(f"FROM {IMAGE}\n{lines}".encode())
        image, _ = engine.images.build(fileobj=dockerfile, tag=f"test-{secrets.token_hex(4)}", rm=True, forcerm=True)
        built.append(image.tags[0])
        return image.tags[0]

    yield build
    for tag in built:
        engine.images.remove(tag, force=True)


def wait(runner: DockerRunner, handle: Handle) -> Exit:
    found = wait_until(lambda: runner.poll(handle), timeout_seconds=60, what=f"the end of {handle.name}")
    assert found is not None
    return found


def read_all(runner: DockerRunner, handle: Handle, *, offset: int = 0) -> bytes:
    log = bytearray()
    while data := runner.read_log(handle, offset + len(log)):
        log += data
    return bytes(log)


def run(runner: DockerRunner, spec: AttemptSpec) -> tuple[int, str]:
    handle = runner.start_or_attach(spec)
    return wait(runner, handle).exit_code, read_all(runner, handle).decode()


def error_of(call: Callable[[], object]) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        call()
    return caught.value
