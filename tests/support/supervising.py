"""What tests of the supervisor ask and do again and again."""

from shared.errors import Code
from shared.jobs.model import Job
from tests.fakes.runner import Script
from tests.fakes.worker import FakeWorker

HANGING = Script(outputs=[b"epoch 1\n"], hangs=True)


def ended(job: Job | None) -> Job:
    assert job is not None
    return job


def code_of(job: Job) -> Code:
    assert job.reason is not None
    return job.reason.code


def name_of(job_id: str, attempt: int = 1) -> str:
    return f"retrain-{job_id}-{attempt}"


def stop_at(worker: FakeWorker, number: int) -> None:
    worker.runner.before_poll = lambda poll: worker.stopping.set() if poll == number else None
