"""Makes Celery's `revoke` and `terminate`, which Flower's buttons and `celery control` send, cancel the job.

Celery's own commands cannot stop a thread. And because all messages of a job have its id, a worker would discard them
for three hours: the job would stay queued for no apparent reason.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.utils.functional import maybe_list
from celery.worker.control import Panel

from shared.errors import RetrainError
from shared.jobs.model import Job
from shared.jobs.store import Submissions
from shared.logs import log_context

logger = logging.getLogger(__name__)

KILLING = ("KILL", "SIGKILL", "9")


def cancel_what_is_revoked(store: Submissions, report: Callable[[Job], None]) -> None:
    """Replace Celery's commands in this process. All workers get the command; one of them is enough."""
    Panel.data.update(revoke=partial(_revoke, store, report), terminate=partial(_terminate, store, report))


def _terminate(
    store: Submissions, report: Callable[[Job], None], state: Any, signal: object, task_id: object, **_: object
) -> dict[str, str]:
    return _revoke(store, report, state, task_id, terminate=True, signal=signal)


def _revoke(
    store: Submissions,
    report: Callable[[Job], None],
    state: Any,
    task_id: object,
    terminate: bool = False,
    signal: object = None,
    **_: object,
) -> dict[str, str]:
    """Cancel the jobs; without the grace period if the signal is KILL."""
    is_forced = terminate and str(signal).upper() in KILLING
    said = [_cancel(store, report, state, str(each), is_forced=is_forced) for each in maybe_list(task_id) or []]
    return {"ok": "; ".join(said)}


def _cancel(store: Submissions, report: Callable[[Job], None], state: Any, job_id: str, *, is_forced: bool) -> str:
    with log_context(job_id=job_id):
        try:
            job = store.cancel(job_id, force=is_forced)
        except RetrainError as error:
            logger.info("revoke not followed", extra={"cause": error.message})  # such as another worker's cancel
            return error.message
        logger.info("cancelled by a revoke", extra={"state": job.state, "force": is_forced})
        if job.state.is_terminal:  # it had not started: no task will report it
            report(job)
            state.consumer.event_dispatcher.send("task-revoked", uuid=job_id, terminated=False, expired=False)
        return f"job {job_id} is {job.state}"
