"""Cases through our own loader, renderer and runners, as the worker has them."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.errors import AttemptError
from tests.parity.case import Case, Outcome, shown_in
from tests.support.waiting import wait_until
from worker.project.docker_env import permit_environment
from worker.project.entry_points import assemble, render
from worker.runners.docker.runner import DockerRunner
from worker.runners.private_files import private_files
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import AttemptSpec, Handle, Runner
from worker.tracking.client import load_project

HOST = {"CASE_HOST": "of the host"}
NOT_SENT = {"experiment_name": "case", "model_name": None, "base_model": None, "dataset_repo": None}


def open_process_runner(folder: Path) -> ProcessRunner:
    """Return a runner of processes that finds this Python."""
    base_env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return ProcessRunner(folder, python=Path(sys.executable), base_env=base_env)


def open_docker_runner() -> DockerRunner:
    """Return a runner of containers of its own."""
    return DockerRunner(os.environ, host=f"parity-{os.getpid()}")


def run_by_us(runner: Runner, cases: Mapping[str, tuple[Case, Path]], *, at_once: int) -> dict[str, Outcome]:
    """Run them, some side by side; by their names. Nothing is left."""
    outcomes: dict[str, Outcome] = {}
    waiting, running = dict(cases), dict[str, Handle]()
    while waiting or running:
        while waiting and len(running) < at_once:
            name = next(iter(waiting))
            case, folder = waiting.pop(name)
            try:
                running[name] = runner.start_or_attach(_spec(case, folder))
            except AttemptError as error:
                outcomes[name] = Outcome(None, refused=f"{error.code}: {error.message}")
        for name in wait_until(lambda: _ended(runner, running), timeout_seconds=120, what="the end of a case") or ():
            outcomes[name] = _outcome(runner, running.pop(name))
    return outcomes


def _spec(case: Case, folder: Path) -> AttemptSpec:
    project = load_project(folder)
    entry_point = project.entry_point(case.entry_point)
    rendered = render(entry_point, assemble(entry_point, fields=NOT_SENT, parameters=case.parameters))
    environment = permit_environment(project, HOST, HOST)
    private = private_files(environment.lent)
    return AttemptSpec(
        job_id=f"parity-{secrets.token_hex(6)}",
        attempt=1,
        image=project.image,
        command=rendered.command,
        source=folder,
        prelude=private.prelude,
        env=environment.shown,
        private_files=private.files,
        private_env=private.variables,
    )


def _ended(runner: Runner, running: Mapping[str, Handle]) -> list[str]:
    return [name for name, handle in running.items() if runner.poll(handle)] if running else ["nothing"]


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
