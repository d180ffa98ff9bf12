"""From a claim to a started attempt: source, project, image, MLflow run, container."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mypackage.protocol import (
    ATTEMPT_VARIABLE,
    CACHE_BYTES_VARIABLE,
    CACHE_VARIABLE,
    JOB_VARIABLE,
    PROMOTION_VARIABLE,
    REQUEST_VARIABLE,
)
from shared.addresses.git_uri import Credentials
from shared.errors import Code, LeaseLost, UserError
from shared.jobs.records import Claim, Resolution
from shared.jobs.store import Claims
from shared.live_secrets import redactor_of
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.redactor import Redactor
from shared.secrets.vault import JobSecrets
from shared.settings import Settings
from worker.attempt import dataset_pin
from worker.attempt.limits import limits_of
from worker.attempt_name import attempt_name
from worker.host.offer import HostOffer
from worker.interruption import NEVER, Interruption
from worker.project.docker_env import Environment, permit_environment, permit_volumes
from worker.project.entry_points import Project, Rendered, assemble, render
from worker.runners.container_address import guard_has_the_password, tracking_uri_in_containers
from worker.runners.private_files import PrivateFiles, private_files
from worker.runners.seam import AttemptSpec, Handle, Image, Runner, Volume
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.tracking import base_model
from worker.tracking.client import Run, Tracking, container_environment, load_project
from worker.tracking.run_tags import RunRequest

logger = logging.getLogger(__name__)

CACHE_FOLDER = "/mnt/retrain-cache"
REGISTRY_VARIABLE = "MLFLOW_REGISTRY_URI"
TRACKING_PASSWORD = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105 - a variable's name
UNGUARDED = (
    "echo 'This training has the password of the MLflow server: no guard stands before it (TRACKING_GUARD_URI).' >&2\n"
)


@dataclass(frozen=True)
class Preparation:
    """Brings attempts to their start."""

    settings: Settings
    store: Claims
    source: GitSource
    tracking: Tracking
    runner: Runner
    host_environment: Mapping[str, str]
    here: HostOffer

    @cached_property
    def redactor(self) -> Redactor:
        """Knows every secret of this worker, what it lends among them."""
        return redactor_of(self.settings, self.host_environment)

    def start(self, claim: Claim, secrets: JobSecrets, interruption: Interruption = NEVER) -> Handle:
        """Do all that comes before the container runs, recording what is found out. Raises AttemptError.

        Raises what interrupts it, too, within LOOK_SECONDS: but for what waits for an answer of an engine or server.
        """
        name = attempt_name(claim.job)
        try:
            return self.runner.start_or_attach(self._prepare(claim, secrets, name, interruption), interruption)
        finally:
            if not interruption.leaves_all:
                self._discard(name)

    def _discard(self, name: str) -> None:
        try:
            self.source.discard(name)
        except OSError as error:  # the attempt is under way: a folder in the way must not end it
            logger.warning("source not removed; the sweep will", extra={"cause": str(error)})

    def _prepare(self, claim: Claim, secrets: JobSecrets, name: str, interruption: Interruption) -> AttemptSpec:
        request = claim.request
        capacity = self.runner.find_capacity()
        limits = limits_of(request.resources, self.settings, capacity, slots=self.here.slots)
        checkout = self._check_out(claim, request, secrets, name, interruption)
        project = load_project(checkout.project_folder)
        entry_point = project.entry_point(request.entry_point)
        fields = {"experiment_name": request.experiment_name, "model_name": request.model_name}
        if request.base_model and "base_model" in entry_point.declared:
            fields["base_model"] = self._pin_base_model(claim, request.base_model, project)
        dataset = None
        if "dataset_repo" in entry_point.declared:
            dataset = self._pin_dataset(claim, request, secrets, interruption)
        if request.dataset_repo:
            fields["dataset_repo"] = dataset_pin.as_parameter(request.dataset_repo, dataset)
        rendered = render(entry_point, assemble(entry_point, fields=fields, parameters=request.parameters))
        image = self._bring_image(claim, request, project, interruption)
        interruption.check()
        run = self._open_run(claim, request, checkout, project, rendered, interruption)
        if image and project.image:
            self.tracking.log_image(run.run_id, image=project.image, image_id=image.digest or image.id)
        environment = permit_environment(project, self.settings.project_env_allowlist, self.host_environment)
        own = {**self._environment(claim, request, run), **dataset_pin.environment(dataset)}
        private = self._private_files(environment, own, secrets)
        return AttemptSpec(
            job_id=claim.job.id,
            attempt=claim.attempt.number,
            image=image.id if image else None,  # the name may mean another one in a moment
            command=rendered.command,
            source=checkout.project_folder,
            prelude=self._notice + private.prelude,
            env={**environment.shown, **own},
            private_files=private.files,
            private_env=private.variables,
            cpus=limits.cpus,
            memory_bytes=limits.memory_bytes,
            pids=self.settings.attempt_pids,
            gpu_ids=claim.attempt.gpu_ids,
            volumes=(*permit_volumes(project, self.settings.volume_allowlist), *self._cache_volume()),
            network=self.settings.container_network or None,
            host_address=self.settings.container_host_address,
        )

    def _check_out(
        self, claim: Claim, request: RetrainRequest, secrets: JobSecrets, name: str, interruption: Interruption
    ) -> Checkout:
        wanted = SourceRequest(
            uri=request.git_uri,
            ref=request.commit_hash,
            commit_sha=claim.job.commit_sha,
            subfolder=request.MLproject_location,
            credentials=secrets.source,
        )
        seconds = request.timeouts.git_seconds or self.settings.git_timeout_seconds
        checkout = self.source.checkout(wanted, name=name, timeout_seconds=seconds, interruption=interruption)
        self.store.resolve(claim, Resolution(commit_sha=checkout.commit_sha))
        return checkout

    def _pin_dataset(
        self, claim: Claim, request: RetrainRequest, secrets: JobSecrets, interruption: Interruption
    ) -> str | None:
        if claim.job.dataset_repo or not request.dataset_repo:
            return claim.job.dataset_repo
        seconds = request.timeouts.git_seconds or self.settings.git_timeout_seconds
        pinned = dataset_pin.pin(
            request.dataset_repo,
            source=self.source,
            credentials=secrets.dataset,
            timeout_seconds=seconds,
            interruption=interruption,
        )
        if pinned:
            self.store.resolve(claim, Resolution(dataset_repo=pinned))
        return pinned

    def _pin_base_model(self, claim: Claim, asked: str, project: Project) -> str:
        """What the project gets as its base_model: for an alias, the version that it was at the first attempt."""
        if any(variable.name == REGISTRY_VARIABLE for variable in project.environment):  # not the service's registry
            return asked
        known = claim.job.base_model_version
        version = self.tracking.find_base_model(base_model.at_version(asked, known))
        if version and version != known:
            self.store.resolve(claim, Resolution(base_model_version=version))
        return base_model.at_version(asked, version)

    def _bring_image(
        self, claim: Claim, request: RetrainRequest, project: Project, interruption: Interruption
    ) -> Image | None:
        if self.runner.kind == "docker" and project.image is None:
            raise UserError(
                Code.INVALID_PROJECT,
                f"Project '{project.name}' has no docker_env.image, and this service trains in containers. "
                "Add docker_env with an image to its MLproject file.",
                project=project.name,
            )
        seconds = request.timeouts.pull_seconds or self.settings.pull_timeout_seconds
        image = self.runner.prepare_image(
            project.image, pinned=claim.job.image_id, timeout_seconds=seconds, interruption=interruption
        )
        if image is not None:
            self.store.resolve(claim, Resolution(image=project.image, image_id=image.digest or image.id))
        return image

    def _open_run(
        self,
        claim: Claim,
        request: RetrainRequest,
        checkout: Checkout,
        project: Project,
        rendered: Rendered,
        interruption: Interruption,
    ) -> Run:
        run = self.tracking.ensure_run(
            RunRequest(
                job_id=claim.job.id,
                attempt=claim.attempt.number,
                experiment_name=request.experiment_name,
                git_uri=request.git_uri,
                commit_sha=checkout.commit_sha,
                folder=checkout.project_folder.relative_to(checkout.folder.resolve()).as_posix().removeprefix("."),
                branch=checkout.branch,
                entry_point=request.entry_point,
                project_env="docker" if project.image and self.runner.kind == "docker" else None,
                parameters=self.redactor.within(rendered.parameters),
                request_id=claim.job.request_id,
            )
        )
        try:
            self.store.resolve(claim, Resolution(experiment_id=run.experiment_id, run_id=run.run_id))
        except LeaseLost:
            if interruption.is_cancelled:  # the job has ended without it, while the tracking server took its time
                self.tracking.finish_run(run.run_id, "KILLED")
            raise
        return run

    def _environment(self, claim: Claim, request: RetrainRequest, run: Run) -> dict[str, str]:
        about = {JOB_VARIABLE: claim.job.id, ATTEMPT_VARIABLE: str(claim.attempt.number)}
        about |= {REQUEST_VARIABLE: claim.job.request_id} if claim.job.request_id else {}
        if rules := request.promotion.as_variable:
            about[PROMOTION_VARIABLE] = rules
        uri = self.settings.mlflow_tracking_uri
        if self.runner.kind == "docker":
            uri = tracking_uri_in_containers(self.settings)
        user = "" if self._is_guarded else self.settings.mlflow_tracking_username
        access = {"MLFLOW_TRACKING_USERNAME": user} if user else {}
        return {**about, **self._cache_environment(), **container_environment(run, uri), **access}

    def _cache_volume(self) -> tuple[Volume, ...]:
        folder = self.settings.dataset_cache
        return (Volume(folder, CACHE_FOLDER),) if folder and self.runner.kind == "docker" else ()

    def _cache_environment(self) -> dict[str, str]:
        folder, most = self.settings.dataset_cache, self.settings.dataset_cache_bytes
        if not folder:
            return {}
        place = CACHE_FOLDER if self.runner.kind == "docker" else folder
        return {CACHE_VARIABLE: place, CACHE_BYTES_VARIABLE: str(most)}

    @property
    def _notice(self) -> str:
        return UNGUARDED if self.settings.tracking_credentials() and not self._is_guarded else ""

    @property
    def _is_guarded(self) -> bool:
        return guard_has_the_password(self.settings, self.runner.kind)

    def _private_files(self, environment: Environment, own: Mapping[str, str], secrets: JobSecrets) -> PrivateFiles:
        """What is lent, but for names that are the service's own, and what opens the tracking server and the data."""
        has_home = self.runner.kind == "docker" or "HOME" in self.host_environment
        exports = {name: value for name, value in environment.lent.items() if name not in own}
        # MLflow reads its password from the environment only.
        password = self.settings.mlflow_tracking_password.get_secret_value()
        if password and not self._is_guarded:
            exports[TRACKING_PASSWORD] = password
        config = git_config(secrets.dataset, has_home=has_home) if secrets.dataset else None
        return private_files(exports, git_config=config)


def git_config(credentials: Credentials, *, has_home: bool) -> bytes:
    """A git configuration file by which the training can read its data's repository, and no other host.

    It stands in the place of the user's own, and so includes that; without HOME, git refuses to read such a line.
    """
    pair = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    own = ["[include]", "\tpath = ~/.gitconfig"] if has_home else []
    lines = [*own, f'[http "{credentials.origin}"]', f'\textraHeader = "Authorization: Basic {pair}"']
    return ("\n".join(lines) + "\n").encode()
