"""A runner of plain processes, and attempts for it."""

import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AttemptError, Code
from tests.support.waiting import wait_until
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Exit, Handle

PYTHON = Path(sys.executable)
HOST_ENV = {"PATH": "/usr/bin:/bin", "HOME": "/home/someone", "LANG": "C.UTF-8", "REDIS_URL": "redis://secret"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def runner(state: Path) -> Iterator[ProcessRunner]:
    runner = ProcessRunner(state, python=PYTHON, base_env=HOST_ENV)
    yield runner
    for handle in runner.list_mine():
        runner.remove(handle)
    assert list(state.glob("*")) == []


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., AttemptSpec]:
    source = tmp_path / "source"
    source.mkdir()

    def make(command: str, **fields: Any) -> AttemptSpec:
        job_id = secrets.token_hex(6)
        return AttemptSpec(job_id=job_id, attempt=1, image=None, command=command, source=source, **fields)

    return make


def wait(runner: ProcessRunner, handle: Handle) -> Exit:
    found = wait_until(lambda: runner.poll(handle), what=f"the end of {handle.name}")
    assert found is not None
    return found


def wait_for_log(runner: ProcessRunner, handle: Handle, *, lines: int = 1) -> list[bytes]:
    wait_until(lambda: runner.read_log(handle, 0).count(b"\n") >= lines, what=f"the log of {handle.name}")
    return runner.read_log(handle, 0).splitlines()


def run(runner: ProcessRunner, spec: AttemptSpec) -> str:
    handle = runner.start_or_attach(spec)
    assert wait(runner, handle) == Exit(exit_code=0)
    return runner.read_log(handle, 0).decode()


def code_of(call: Callable[[], object]) -> Code:
    with pytest.raises(AttemptError) as caught:
        call()
    return caught.value.code
