"""Takes a claim to a started attempt: checkout, project, pins, command, image, MLflow run, container.

surroundings.py puts together what the training then finds around itself.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from shared.errors import Code, LeaseLost, UserError
from shared.jobs.model import Job
from shared.jobs.records import Claim, Resolution
from shared.jobs.store import Claims
from shared.links import Links
from shared.policy.file import PolicyFile
from shared.policy.rules import Rules
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.attempt import dataset_pin
from worker.attempt.assignment import Assignment, Loaded, Pins, has_registry_of_its_own, no_image, render_for, source_of
from worker.attempt.course import takeovers
from worker.attempt.limits import AttemptLimits, limits_of
from worker.attempt.surroundings import Given, Surroundings
from worker.attempt_name import attempt_name
from worker.credentials.keys import Keys
from worker.host.offer import HostOffer
from worker.interruption import NEVER, Interruption
from worker.project.entry_points import Rendered
from worker.project.evaluation import Evaluand, check_evaluation, evaluation_command, find_evaluate
from worker.project.loading import load_project
from worker.project.permission import check_image, check_request
from worker.runners.registry import worker_redactor
from worker.runners.seam import AttemptSpec, Handle, Image, Runner
from worker.source.checkout import Checkout, GitSource
from worker.tracking import base_model
from worker.tracking.client import Run, Tracking
from worker.tracking.run_tags import RunRequest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preparation:
    """Prepares attempts and starts them."""

    settings: Settings
    store: Claims
    source: GitSource
    tracking: Tracking
    runner: Runner
    host_environment: Mapping[str, str]
    here: HostOffer
    policy: PolicyFile = field(default_factory=PolicyFile)

    @cached_property
    def redactor(self) -> Redactor:
        """The redactor of all this worker's secrets, including those that it lends."""
        return worker_redactor(self.settings, self.host_environment)

    @property
    def _surroundings(self) -> Surroundings:
        return Surroundings(self.settings, self.host_environment, self.runner.inside)

    def redactor_of(self, claim: Claim, job: Job, redactor: Redactor) -> Redactor:
        """Return a redactor that also knows the token of the attempt, whose run the job's record has by now."""
        run = Run(job.run_id or "", job.experiment_id or "", None)
        return redactor.hiding(*self._surroundings.tokens(claim, run))

    def start(self, claim: Claim, secrets: Keys, interruption: Interruption = NEVER) -> Handle:
        """Do everything up to the start of the container, recording what is resolved. Raises AttemptError.

        It also raises whatever interrupts it, within LOOK_SECONDS, unless it is waiting for an engine or a server.
        """
        assigned = Assignment(claim, secrets, interruption)
        is_needed = False
        try:
            prepared = self._prepare(assigned)
            handle = self.runner.start_or_attach(prepared.spec, interruption)
            is_needed = prepared.evaluates and not self.runner.inside.shares_checkout
            return handle
        finally:
            if not (is_needed or interruption.leaves_all):
                self._discard(assigned.name)

    def start_evaluation(self, assigned: Assignment, run: Run, models: Sequence[Evaluand]) -> Handle:
        """Start what evaluates these models, from the job's commit and image; ``run`` is the attempt's own."""
        try:
            return self.runner.start_or_attach(self._prepare_evaluation(assigned, run, models), assigned.interruption)
        finally:
            self._discard(assigned.name)

    def end(self, claim: Claim) -> None:
        """Discard what was kept for evaluations, now that the attempt is over."""
        self._discard(attempt_name(claim.job))

    def _prepare_evaluation(self, assigned: Assignment, run: Run, models: Sequence[Evaluand]) -> AttemptSpec:
        limits = self._limit(assigned)
        trained = self._load(assigned, self._find_checkout(assigned) or self._check_out(assigned))
        evaluate = find_evaluate(trained.project)
        if evaluate is None:
            raise UserError(Code.INVALID_PROJECT, "the project has no entry point 'evaluate' with a 'model_uri'.")
        pins = Pins(self._pin_base_model(assigned, trained), self._pin_dataset(assigned, trained))
        given = render_for(assigned, trained, pins).parameters
        command = evaluation_command(evaluate, given, models)
        image = self._bring_image(assigned, trained)
        surroundings = self._surround(assigned, trained, pins, run)
        return self._specify(assigned, limits, trained, command, image, surroundings)

    def _prepare(self, assigned: Assignment) -> "_Prepared":
        limits = self._limit(assigned)
        loaded = self._load(assigned, self._check_out(assigned))
        pins = Pins(self._pin_base_model(assigned, loaded), self._pin_dataset(assigned, loaded))
        rendered = render_for(assigned, loaded, pins)
        if evaluate := find_evaluate(loaded.project):
            check_evaluation(evaluate, rendered.parameters)
        image = self._bring_image(assigned, loaded)
        run = self._open_run(assigned, loaded, rendered, image)
        given = self._surround(assigned, loaded, pins, run)
        spec = self._specify(assigned, limits, loaded, rendered.command, image, given)
        return _Prepared(spec, evaluates=find_evaluate(loaded.project) is not None)

    def _discard(self, name: str) -> None:
        try:
            self.source.discard(name)
        except OSError as error:  # the attempt is under way: a leftover folder must not end it
            logger.warning("source not removed; the sweep will", extra={"cause": str(error)})

    def _record(self, assigned: Assignment, found: Resolution) -> None:
        """Record what later attempts are to use, too; raise LeaseLost if another worker has the job by now."""
        self.store.resolve(assigned.claim, found)

    def _limit(self, assigned: Assignment) -> AttemptLimits:
        rules, capacity = self._rules(assigned), self.runner.find_capacity()
        check_request(assigned.request, rules)
        return limits_of(assigned.request.resources, self.settings, capacity, slots=self.here.slots, rules=rules)

    def _rules(self, assigned: Assignment) -> Rules:
        return self.policy.rules_of(assigned.claim.job.team, assigned.claim.job.roles)

    def _check_out(self, assigned: Assignment) -> Checkout:
        checkout = self.source.checkout(
            source_of(assigned),
            name=assigned.name,
            timeout_seconds=self._git_seconds(assigned.request),
            interruption=assigned.interruption,
        )
        self._record(assigned, Resolution(commit_sha=checkout.commit_sha))
        return checkout

    def _load(self, assigned: Assignment, checkout: Checkout) -> Loaded:
        project = load_project(checkout.project_folder, checkout.folder)
        if self.runner.inside.runs_images:
            check_image(project, self._rules(assigned), self.settings)
        return Loaded(checkout, project, project.entry_point(assigned.request.entry_point))

    def _find_checkout(self, assigned: Assignment) -> Checkout | None:
        """Return what the attempt itself checked out: after hours of training, the git host may be away."""
        if self.runner.inside.shares_checkout:  # then the training may have changed it
            return None
        return self.source.find(source_of(assigned), name=attempt_name(assigned.claim.job))

    def _pin_base_model(self, assigned: Assignment, loaded: Loaded) -> str | None:
        """Return the project's base_model: for an alias, the version that it meant at the first attempt."""
        asked, known = assigned.request.base_model, assigned.claim.job.base_model_version
        if not asked or "base_model" not in loaded.entry_point.declared:
            return None
        if has_registry_of_its_own(loaded.project):
            return asked
        version = self.tracking.find_base_model(base_model.at_version(asked, known))
        if version and version != known:
            self._record(assigned, Resolution(base_model_version=version))
        return base_model.at_version(asked, version)

    def _pin_dataset(self, assigned: Assignment, loaded: Loaded) -> str | None:
        asked, known = assigned.request.dataset_repo, assigned.claim.job.dataset_repo
        if "dataset_repo" not in loaded.entry_point.declared:
            return None
        if known or not asked:
            return known
        pinned = dataset_pin.pin(
            asked,
            source=self.source,
            credentials=assigned.secrets.of_data(asked),
            timeout_seconds=self._git_seconds(assigned.request),
            interruption=assigned.interruption,
        )
        if pinned:
            self._record(assigned, Resolution(dataset_repo=pinned))
        return pinned

    def _git_seconds(self, request: RetrainRequest) -> float:
        return request.timeouts.git_seconds or self.settings.git_timeout_seconds

    def _bring_image(self, assigned: Assignment, loaded: Loaded) -> Image | None:
        project = loaded.project
        if self.runner.inside.runs_images and project.image is None:
            raise no_image(project)
        image = self.runner.prepare_image(
            project.image,
            pinned=assigned.claim.job.image_id,
            timeout_seconds=assigned.request.timeouts.pull_seconds or self.settings.pull_timeout_seconds,
            interruption=assigned.interruption,
            pull=assigned.secrets.pull_of(project.image),
        )
        if image is not None:
            self._record(assigned, Resolution(image=project.image, image_id=image.digest or image.id))
        return image

    def _open_run(self, assigned: Assignment, loaded: Loaded, rendered: Rendered, image: Image | None) -> Run:
        assigned.interruption.check()
        run = self.tracking.ensure_run(self._run_request(assigned, loaded, rendered, image))
        try:
            self._record(assigned, Resolution(experiment_id=run.experiment_id, run_id=run.run_id))
        except LeaseLost:
            if assigned.interruption.is_cancelled:  # the job ended while the tracking server took its time
                self.tracking.finish_run(run.run_id, "KILLED")
            raise
        return run

    def _run_request(self, assigned: Assignment, loaded: Loaded, rendered: Rendered, image: Image | None) -> RunRequest:
        claim, request, checkout = assigned.claim, assigned.request, loaded.checkout
        return RunRequest(
            job_id=claim.job.id,
            attempt=claim.attempt.number,
            experiment_name=request.experiment_name,
            git_uri=request.git_uri,
            commit_sha=checkout.commit_sha,
            folder=checkout.project_folder.relative_to(checkout.folder.resolve()).as_posix().removeprefix("."),
            branch=checkout.branch,
            entry_point=request.entry_point,
            project_env="docker" if loaded.project.image and self.runner.inside.runs_images else None,
            parameters=self.redactor.within(rendered.parameters),
            request_id=claim.job.request_id,
            trigger=claim.job.trigger_name,
            triggered_by=self.redactor.within(claim.job.triggered_by),
            run_name=request.run_name,
            model_name=request.model_name,
            job_page=Links.of(self.settings).job_page(claim.job),
            evaluates=find_evaluate(loaded.project) is not None,
            image=loaded.project.image if image else None,
            image_id=(image.digest or image.id) if image else None,
            may_exist=takeovers(claim.job) > 0,
        )

    def _surround(self, assigned: Assignment, loaded: Loaded, pins: Pins, run: Run) -> Given:
        own = {**self._surroundings.variables(assigned.claim, run), **dataset_pin.environment(pins.dataset)}
        token = self._surroundings.token(assigned.claim, run)
        data = assigned.secrets.to_read_data(assigned.request.dataset_repo)
        cache, rules = self._surroundings.cache_volume(assigned.claim.job), self._rules(assigned)
        return self._surroundings.give(loaded.project, own, data, token=token, cache=cache, rules=rules)

    def _specify(
        self,
        assigned: Assignment,
        limits: AttemptLimits,
        loaded: Loaded,
        command: str,
        image: Image | None,
        given: Given,
    ) -> AttemptSpec:
        return AttemptSpec(
            job_id=assigned.claim.job.id,
            attempt=assigned.claim.attempt.number,
            image=image.id if image else None,  # the name may soon mean another image
            command=command,
            part=assigned.part,
            source=loaded.checkout.project_folder,
            repository=loaded.checkout.folder,
            prelude=given.prelude,
            env=given.env,
            private_files=given.private.files,
            private_env=given.private.variables,
            cpus=limits.cpus,
            memory_bytes=limits.memory_bytes,
            pids=self.settings.attempt_pids,
            gpu_ids=assigned.claim.attempt.gpu_ids,
            volumes=given.volumes,
            network=self.settings.container_network or None,
            host_address=self.settings.container_host_address,
        )


@dataclass(frozen=True)
class _Prepared:
    """An attempt that can start; whether its project ``evaluates`` models, from the same checkout."""

    spec: AttemptSpec
    evaluates: bool
