"""Scores champion and challenger on the same data, in a container of the challenger's image and commit.

Each step may be repeated, even by the next worker: the runs of the evaluation say whether it has ended, and what was
measured. Whatever goes wrong in the project's own code is an answer (Unscorable); only the service's parts raise.
"""

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mypackage.gate.evidence import Evidence, Unscorable
from mypackage.gate.proposal import Proposal
from shared.errors import AttemptCancelled, AttemptError, Code, InfrastructureError, StoreUnavailable
from shared.jobs.model import Job, JobState
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.settings import Settings
from worker.attempt.assignment import Assignment
from worker.attempt.evaluator import Comparison, Scored, Watch
from worker.attempt.evidence_of import OURS, THEIRS, evidence_of
from worker.attempt.last_words import telling_line
from worker.attempt.preparation import Preparation
from worker.attempt_name import PART, attempt_name
from worker.credentials.keys import Keyring
from worker.host.disk_watch import Verdicts
from worker.interruption import LOOK_SECONDS, Interruption, WorkerStopping
from worker.project.evaluation import Evaluand, heading
from worker.runners.seam import Exit, Handle, Runner, log_bounds
from worker.tracking.client import Run
from worker.tracking.evaluation_runs import Evaluated, EvaluationRuns

logger = logging.getLogger(__name__)

FIRST_POLL_SECONDS = 0.1
POLL_SECONDS = 1.0
KEPT_OUTPUT_BYTES = 16 * 1024
BOTH_FAILED = 0b11  # the exit code has a bit for each model


@dataclass(frozen=True)
class Evaluating:
    """Evaluates for the attempts of one worker."""

    settings: Settings
    store: JobStore
    keyring: Keyring
    preparation: Preparation
    runner: Runner
    runs: EvaluationRuns
    stopping: threading.Event
    verdicts: Verdicts
    clock: Callable[[], float] = time.monotonic

    def score(self, asked: Comparison, watch: Watch) -> Scored | None:
        """Return what came of it; None if the project cannot evaluate models."""
        job = self.store.get(asked.claim.job.id)
        if job.run_id is None or job.experiment_id is None or not self.runs.is_possible(job.run_id):
            return None
        work = self._work(asked, job, Run(job.run_id, job.experiment_id, None), watch)
        ours, theirs = work.runs
        if not (ours.has_ended and theirs.has_ended):
            reasons = self._evaluate(work)
            ours, theirs = (self.runs.end(run.run_id, why=why) for run, why in zip(work.runs, reasons, strict=True))
            self._remove(work.name)
        return Scored(self._evidence(asked, ours, theirs), ours, theirs)

    def _work(self, asked: Comparison, job: Job, run: Run, watch: Watch) -> "_Work":
        key = f"{asked.number}-{asked.champion.version}"
        names = {OURS: "the new model", THEIRS: f"the champion, version {asked.champion.version}"}
        runs = {
            which: self.runs.ensure(
                job.id, run.run_id, run.experiment_id, key=f"{key} {which}", name=f"evaluation of {names[which]}"
            )
            for which in names
        }
        uris = {OURS: _uri_of(asked.proposal), THEIRS: f"models:/{asked.proposal.model_name}/{asked.champion.version}"}
        claim = replace(asked.claim, job=job)
        look = _Look(self.store, claim, watch.check, self.clock)
        return _Work(
            claim=claim,
            run=run,
            part=f"{PART}evaluation-{key}",
            runs=(runs[OURS], runs[THEIRS]),
            models=tuple(Evaluand(names[which], uris[which], runs[which].run_id) for which in names),
            look=look,
            watch=watch,
        )

    def _evaluate(self, work: "_Work") -> Sequence[str]:
        """Return why each model's evaluation failed, "" where it did not."""
        secrets = self.keyring.of_job(self.store.secret(work.claim), work.claim.job, work.claim.request)
        redactor = self.preparation.redactor_of(work.claim, work.claim.job, self.preparation.redactor.plus(secrets.all))
        seconds = self.settings.lease_seconds
        permit = partial(self.store.renew, work.claim, lease_seconds=seconds)
        assigned = Assignment(work.claim, secrets, _Attentive(work.look, permit), work.part)
        logger.info("evaluating", extra={"models": ",".join(model.uri for model in work.models)})
        try:
            handle = self.runner.attach(work.name) or self.preparation.start_evaluation(assigned, work.run, work.models)
            outcome, output = self._watch(work, handle)
        except InfrastructureError:
            raise  # asked again
        except AttemptCancelled:
            self._remove(work.name)
            for run in work.runs:
                self.runs.end(run.run_id, why="the job was cancelled")
            raise
        except AttemptError as error:
            return [redactor.text(error.message)] * len(work.models)
        said = redactor.data(output)
        if (
            text := said.decode(errors="replace").rstrip("\n")
        ) not in work.watch.said:  # it is read again after a failure
            work.watch.said.append(text)
        return _reasons(outcome, said, work.models)

    def _watch(self, work: "_Work", handle: Handle) -> "tuple[Exit | str, bytes]":
        """Return how it ended, or why it was stopped, with the end of its output."""
        limit = work.claim.request.timeouts.run_seconds or self.settings.run_timeout_seconds
        began_at, pause, tail, offset, stopped = self.clock(), FIRST_POLL_SECONDS, b"", 0, ""
        spent_before = work.watch.spent_seconds
        while True:
            outcome = self.runner.poll(handle)
            while part := self.runner.read_log(handle, offset):
                tail, offset = (tail + part)[-KEPT_OUTPUT_BYTES:], offset + len(part)
            if outcome is not None:
                break
            work.look()
            printed = offset + self.runner.unkept_bytes(handle)
            work.watch.spent_seconds = spent_before + self.clock() - began_at
            if work.watch.spent_seconds > limit:
                stopped = f"it was stopped: those of one attempt have {limit:g} s together (timeouts.run_seconds)"
            elif printed > log_bounds(self.settings).flood_bytes:
                stopped = f"it was stopped after it had printed {printed} bytes"
            if stopped:
                self.runner.stop(handle, grace_seconds=self.settings.stop_grace_seconds)
            elif self.stopping.wait(pause):
                raise WorkerStopping
            pause = min(POLL_SECONDS, pause * 1.5)
        self.runner.close_log(handle)
        verdict = self.verdicts.take(handle.name)
        return (verdict.message if verdict else stopped) or outcome, _whole_lines(tail, offset)

    def _remove(self, name: str) -> None:
        with suppress(AttemptError):  # the sweep will
            if handle := self.runner.attach(name):
                self.runner.stop(handle, grace_seconds=0)
                self.runner.remove(handle)

    def _evidence(self, asked: Comparison, ours: Evaluated, theirs: Evaluated) -> Evidence | Unscorable:
        scratch = self.settings.data_dir / "scratch" / self.settings.worker_host
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                return evidence_of(asked, self.runs, ours, theirs, Path(folder))
        except OSError as error:
            why = f"Scores could not be copied to {scratch}: {error.strerror or type(error).__name__}."
            raise InfrastructureError(Code.DISK_FULL, why) from error


@dataclass(frozen=True)
class _Work:
    """One evaluation: its claim with the job as it is now, the attempt's run, and both models with their runs."""

    claim: Claim
    run: Run
    part: str
    runs: tuple[Evaluated, Evaluated]
    models: tuple[Evaluand, ...]
    look: Callable[[], None]
    watch: Watch

    @property
    def name(self) -> str:
        return f"{attempt_name(self.claim.job)}{self.part}"


class _Look:
    """Raises if the attempt must be left, or the job is being cancelled; asks the store now and then only."""

    def __init__(self, store: JobStore, claim: Claim, check: Callable[[], None], clock: Callable[[], float]) -> None:
        self._store, self._claim, self._check, self._clock = store, claim, check, clock
        self._next_at = -math.inf

    def __call__(self) -> None:
        self._check()
        if self._clock() < self._next_at:
            return
        self._next_at = self._clock() + LOOK_SECONDS
        with suppress(StoreUnavailable):  # checked again in a moment
            _version, state = self._store.get_version(self._claim.job.id)
            if state is JobState.CANCELLING:
                raise AttemptCancelled.on_request()


class _Attentive(Interruption):
    """Looks for reasons to end itself, because nobody else does while an evaluation is prepared."""

    def __init__(self, look: Callable[[], None], renew: Callable[[], object]) -> None:
        super().__init__(lambda: renew() is None)
        self._look = look

    def check(self) -> None:
        """Raise the reason, if there is one."""
        self._look()
        super().check()


def _uri_of(proposal: Proposal) -> str:
    """Return the address of what would be promoted, though the proposal says another beside its version."""
    return f"models:/{proposal.model_name}/{proposal.version}" if proposal.version else proposal.model_uri


def _whole_lines(tail: bytes, length: int) -> bytes:
    """Return the end of an output of this length without the line that it begins in: half a secret is not hidden."""
    return tail if len(tail) == length else tail.partition(b"\n")[2]


def _reasons(outcome: Exit | str, output: bytes, models: Sequence[Evaluand]) -> list[str]:
    """Return for each model why its evaluation failed, "" where it did not."""
    if isinstance(outcome, str):
        return [outcome] * len(models)
    if outcome.not_begun:
        return [outcome.not_begun.message] * len(models)
    if outcome.oom_killed:
        return ["it ran out of memory"] * len(models)
    if not 0 <= outcome.exit_code <= BOTH_FAILED:
        return [f"it ended with exit code {outcome.exit_code}"] * len(models)
    return [
        telling_line(_section(output, models, number)) or "it printed nothing"
        if outcome.exit_code >> number & 1
        else ""
        for number in range(len(models))
    ]


def _section(output: bytes, models: Sequence[Evaluand], number: int) -> bytes:
    """Return what was printed about one model; all if its heading is not among what was kept."""
    _before, _heading, rest = output.rpartition(heading(models[number]).encode())
    ends = [rest.find(heading(model).encode()) for model in models[number + 1 :]]
    return rest[: min((end for end in ends if end >= 0), default=len(rest))]
