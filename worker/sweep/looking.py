"""Looks at jobs that wait: one that cannot be trained is told soon, not when its turn comes.

It takes no slot and decides nothing that the start does not decide again: a branch may move in between.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.errors import AttemptError, FailureType, RetrainError, UserError
from shared.jobs.model import Job, JobState, Reason
from shared.jobs.records import ToLookAt
from shared.jobs.store import JobStore
from shared.logs import job_context
from shared.policy.file import PolicyFile
from shared.policy.rules import Rules
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.attempt.assignment import Pins, no_image, render_request
from worker.credentials.keys import Keyring, Keys
from worker.host.offer import HostOffer
from worker.interruption import UntilStopping, WorkerStopping
from worker.project.loading import project_of
from worker.project.mlproject_file import parse_document
from worker.project.permission import check_image, check_request
from worker.resilience import survive
from worker.runners.seam import Runner
from worker.source.checkout import GitSource, SourceRequest
from worker.source.project_file import ProjectFile

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 5
WAITED_SECONDS = 2  # what starts at once needs no look
FETCH_SECONDS = 60  # meanwhile a start from the same repository waits
FRESH_SECONDS = 30  # jobs of one commit come together: what was read for one is told of the others, too


@dataclass(frozen=True)
class Looking:
    """One worker's looks, one at a time."""

    settings: Settings
    store: JobStore
    keyring: Keyring
    source: GitSource
    runner: Runner
    here: HostOffer
    redactor: Redactor
    report: Callable[[Job], None]  # to Celery's results
    stopping: threading.Event
    policy: PolicyFile = field(default_factory=PolicyFile)
    clock: Callable[[], float] = time.monotonic
    _read_lately: dict[SourceRequest, tuple[float, ProjectFile]] = field(default_factory=dict, init=False, repr=False)

    def run_until(self, stopping: threading.Event) -> None:
        """Look until the worker stops."""
        while not stopping.is_set():
            if not survive("look_at_waiting", self.once):
                stopping.wait(LOOK_EVERY_SECONDS)

    def once(self) -> bool:
        """Look at the next job; return whether there was one."""
        found = self.store.take_to_look_at(self.here.now(), after_seconds=WAITED_SECONDS)
        if found is None:
            return False
        with job_context(found.job):
            try:
                self._look(found)
            except (RetrainError, WorkerStopping) as error:  # the start will tell, if it is still so
                logger.info("not looked at", extra={"cause": str(error)})
        return True

    def _look(self, found: ToLookAt) -> None:
        job, request = found.job, RetrainRequest.from_record(found.job.request)
        secrets, rules = self.keyring.of_job(found.secret, job, request), self.policy.rules_of(job.team, job.roles)
        if FailureType.USER_ERROR in self.settings.retry_policy(request.retry).on:
            return  # somebody expects that it may work later
        wanted = SourceRequest(
            uri=request.git_uri,
            ref=request.commit_hash,
            commit_sha=job.commit_sha,
            subfolder=request.MLproject_location,
            credentials=secrets.source,
        )
        try:
            check_request(request, rules)
            if (known := self._find_read_lately(wanted)) and self._passes(known, request, rules):
                return
            file = self._read(wanted)
        except UserError as error:
            self._fail(job, error, secrets, where="")
            return
        if file is None:
            return
        try:
            self._check(file, request, rules)
        except UserError as error:
            self._fail(job, error, secrets, where=f" at commit {file.commit_sha[:10]}")

    def _read(self, wanted: SourceRequest) -> ProjectFile | None:
        until = UntilStopping(self.stopping)
        file = self.source.find_project_file(wanted, timeout_seconds=FETCH_SECONDS, interruption=until)
        if file is not None:  # the credentials are part of what is wanted: who may not read it is not told
            self._read_lately[wanted] = (self.clock(), file)
        return file

    def _find_read_lately(self, wanted: SourceRequest) -> ProjectFile | None:
        for old in [each for each, (at, _) in self._read_lately.items() if at < self.clock() - FRESH_SECONDS]:
            del self._read_lately[old]
        return self._read_lately.get(wanted, (0.0, None))[1]

    def _passes(self, known: ProjectFile, request: RetrainRequest, rules: Rules) -> bool:
        """Return whether the file has nothing against it. If it has, that may have been mended since it was read."""
        try:
            self._check(known, request, rules)
        except UserError:
            return False
        return True

    def _check(self, file: ProjectFile, request: RetrainRequest, rules: Rules) -> None:
        """Raise what the start would raise about the file and the request's values."""
        document = parse_document(file.text, has_file=lambda _name: True)  # only a work tree could tell
        project = project_of(document, has_file=lambda _name: False)
        render_request(request, project.entry_point(request.entry_point), Pins(request.base_model, None))
        if self.runner.inside.runs_images and project.image is None:
            raise no_image(project)
        if self.runner.inside.runs_images:
            check_image(project, rules, self.settings)

    def _fail(self, job: Job, error: AttemptError, secrets: Keys, *, where: str) -> None:
        message = f"{error.message} This was seen{where} while the job waited; it was not started."
        reason = Reason(error.code, error.type, self.redactor.plus(secrets.all).text(message))
        now = self.store.get(job.id)
        if now.state is JobState.QUEUED and not now.attempts and self.store.fail_unsupervised(job.id, reason):
            logger.info("failed before its turn", extra={"code": error.code})
            self.report(self.store.get(job.id))
