"""Cases through our own door: the body as JSON, then all that a worker does up to the start, and the runners.

The repository is the case's folder and MLflow a fake; the rest is what a service has.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from shared.errors import AttemptError
from shared.requests.retrain_request import RetrainRequest
from tests.fakes.worker import FakeWorker
from tests.parity.case import Case, Outcome, shown_in
from tests.support.jobs import claim, new_job
from tests.support.waiting import wait_until
from worker.credentials.keys import Keys
from worker.interruption import NEVER, Interruption
from worker.runners.docker.runner import DockerRunner
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import Handle, Runner
from worker.source.checkout import Checkout, GitSource, SourceRequest, find_project_folder

HOST = {"CASE_HOST": "of the host"}
SHA = "0" * 40


class FolderSource(GitSource):
    """A repository that is checked out already: the address ends in its folder, which stays."""

    def checkout(
        self, request: SourceRequest, *, name: str, timeout_seconds: float = 60, interruption: Interruption = NEVER
    ) -> Checkout:
        """Return the folder."""
        folder = Path("/" + request.uri.partition("://")[2].partition("/")[2])
        return Checkout(folder, find_project_folder(folder, request.subfolder), SHA, None)

    def discard(self, name: str) -> None:
        """Leave it."""


def open_process_runner(folder: Path) -> ProcessRunner:
    """Return a runner of processes that finds this Python."""
    base_env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return ProcessRunner(folder, python=Path(sys.executable), base_env=base_env)


def open_docker_runner() -> DockerRunner:
    """Return a runner of containers of its own."""
    return DockerRunner(os.environ, host=f"parity-{os.getpid()}")


def run_by_us(
    runner: Runner, cases: Mapping[str, tuple[Case, Path]], folder: Path, *, at_once: int
) -> dict[str, Outcome]:
    """Run them, some side by side; by their names. Nothing is left."""
    worker = _worker(runner, folder)
    outcomes: dict[str, Outcome] = {}
    waiting, running = dict(cases), dict[str, Handle]()
    while waiting or running:
        while waiting and len(running) < at_once:
            name = next(iter(waiting))
            case, place = waiting.pop(name)
            started = _start(worker, case, place)
            if isinstance(started, Outcome):
                outcomes[name] = started
            else:
                running[name] = started
        if running:
            for name in wait_until(lambda: _ended(runner, running), timeout_seconds=120, what="the end of a case"):
                outcomes[name] = _outcome(runner, running.pop(name))
    return outcomes


def _worker(runner: Runner, folder: Path) -> FakeWorker:
    worker = FakeWorker.new(folder, project_env_allowlist=",".join(HOST), mlflow_tracking_password="")
    source = FolderSource(folder / "mirrors", folder / "work", allowed_schemes=frozenset({"https"}))
    worker.preparation = replace(worker.preparation, runner=runner, source=source, host_environment=HOST)
    return worker


def _start(worker: FakeWorker, case: Case, place: Path) -> Handle | Outcome:
    try:
        request = RetrainRequest.model_validate_json(json.dumps(case.body(f"https://git.example{place}")))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc'][:2]))} {each['msg']}" for each in error.errors())
        return Outcome(None, refused=f"at POST: {told.replace('Value error, ', '')}")
    job_id = worker.store.submit(new_job(request=request.as_record())).job.id
    try:
        return worker.preparation.start(claim(worker.store, job_id), Keys())
    except AttemptError as error:
        return Outcome(None, refused=f"{error.code}: {error.message}")


def _ended(runner: Runner, running: Mapping[str, Handle]) -> list[str]:
    return [name for name, handle in running.items() if runner.poll(handle)]


def _outcome(runner: Runner, handle: Handle) -> Outcome:
    ended = runner.poll(handle)
    assert ended is not None
    output = b""
    while part := runner.read_log(handle, len(output)):
        output += part
    runner.remove(handle)
    if ended.not_begun:
        return Outcome(None, refused=f"{ended.not_begun.code}: {ended.not_begun.message}")
    return Outcome(ended.exit_code, shown_in(output.decode(errors="replace")))
