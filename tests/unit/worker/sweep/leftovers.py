"""What ended attempts leave on a host."""

from pathlib import Path

from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker
from worker.runners.seam import AttemptSpec, Handle


def start_container(worker: FakeWorker, name_of: str, attempt: int = 1) -> Handle:
    worker.runner.plan = Script(hangs=True)
    return worker.runner.start_or_attach(AttemptSpec(name_of, attempt, None, "true", Path()))


def leave_folder(worker: FakeWorker, name: str) -> Path:
    folder = worker.folder / "work" / name
    folder.mkdir(parents=True)
    return folder
