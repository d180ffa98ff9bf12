"""Puts together what a training finds around itself: its variables, its private files, and its volumes."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mypackage.protocol import (
    ATTEMPT_VARIABLE,
    CACHE_BYTES_VARIABLE,
    CACHE_VARIABLE,
    GATE_OF_SERVICE,
    GATE_VARIABLE,
    JOB_VARIABLE,
    PROMOTION_VARIABLE,
    REQUEST_VARIABLE,
)
from shared.jobs.model import Job
from shared.jobs.records import Claim
from shared.policy.rules import NO_RULES, Rules
from shared.proxies import prelude_of_training
from shared.secrets.attempt_tokens import Grant, issue, issued
from shared.settings import Settings
from worker.attempt.git_files import git_files
from worker.credentials.keys import NO_DATA_KEYS, DataKeys
from worker.project.docker_env import Environment, permit_environment, permit_volumes
from worker.project.entry_points import Project
from worker.runners.private_files import PrivateFiles, private_files
from worker.runners.seam import Inside, Volume
from worker.tracking.client import Run, container_environment

AZURE_VARIABLE = "AZURE_STORAGE_CONNECTION_STRING"
TRACKING_PASSWORD = "MLFLOW_TRACKING_PASSWORD"  # noqa: S105 - a variable's name
TRACKING_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - likewise
# MLflow's client would send these rather than the token; an image may have them.
NO_LOGIN = {"MLFLOW_TRACKING_USERNAME": "", TRACKING_PASSWORD: ""}
LOGIN = (*NO_LOGIN, TRACKING_TOKEN)  # the training has what it needs of these
TOKEN_SECONDS = 2 * 86400.0  # of a token, beyond the time that training may take: preparation, a stopped worker
# Python holds back what it prints into a pipe: nothing would be seen until the end, and all of it lost in a kill.
AS_IT_IS_PRINTED = {"PYTHONUNBUFFERED": "1"}
# MLflow imports GitPython, which prints 45 lines where an image has no git. It ends a run with a link to the tracking
# server under the name that containers know, where no person gets: the job has the one for people.
WITHOUT_NOISE = {"GIT_PYTHON_REFRESH": "quiet", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
KEY_CHARACTERS = 32  # of a cache's name: too many to find another repository that has the same
OWN_CACHE = "datasets"  # a folder in the volume, since an engine gives the volume itself to root
UNGUARDED = (
    "echo 'This training has the password of the MLflow server: no guard protects it (TRACKING_GUARD_URI).' >&2\n"
)


@dataclass(frozen=True)
class Given:
    """The surroundings of one attempt. ``prelude`` is what a shell runs before the command."""

    env: Mapping[str, str]
    private: PrivateFiles
    prelude: str
    volumes: tuple[Volume, ...]


@dataclass(frozen=True)
class Surroundings:
    """Builds the surroundings of a worker's trainings; ``inside`` is how they see this machine."""

    settings: Settings
    host_environment: Mapping[str, str]
    inside: Inside

    def variables(self, claim: Claim, run: Run) -> dict[str, str]:
        """Return the service's own variables: what is trained, and where it is recorded."""
        about = {JOB_VARIABLE: claim.job.id, ATTEMPT_VARIABLE: str(claim.attempt.number)}
        about[GATE_VARIABLE] = GATE_OF_SERVICE
        about |= {REQUEST_VARIABLE: claim.job.request_id} if claim.job.request_id else {}
        if rules := claim.request.promotion.as_variable:
            about[PROMOTION_VARIABLE] = rules
        return {**about, **self._cache_variables(), **self._tracking_variables(run)}

    def token(self, claim: Claim, run: Run) -> str:
        """Return what the training shows our guard; empty without a guard. The same until SECRET_KEY is rotated."""
        return issue(self._grant(claim, run), self.settings.attempt_key()) if self.inside.is_guarded else ""

    def tokens(self, claim: Claim, run: Run) -> tuple[str, ...]:
        """Return what it may be, whichever key an earlier worker had."""
        return issued(self._grant(claim, run), self.settings.attempt_key()) if self.inside.is_guarded else ()

    def _grant(self, claim: Claim, run: Run) -> Grant:
        seconds = claim.request.timeouts.run_seconds or self.settings.run_timeout_seconds
        return Grant(
            job_id=claim.job.id,
            attempt=claim.attempt.number,
            run_id=run.run_id,
            experiment_id=run.experiment_id,
            model_name=claim.request.model_name,
            expires_at=int(claim.attempt.started_at.timestamp() + seconds + TOKEN_SECONDS),
        )

    def cache_volume(self, job: Job) -> tuple[Volume, ...]:
        """Return the cache of datasets that the job's training may use, as it is mounted there.

        A training can put anything into the cache that it sees, and what it trained on is nobody's proof: those who
        do not trust each other have caches of their own. Anybody may name another team's repository, so a cache is a
        team's, too; and a user's, who might not be able to read what another one wrote.
        """
        folder, place = self.settings.dataset_cache, self.inside.cache_folder
        if not (folder and place):
            return ()
        if self.settings.dataset_cache_of == "all":
            return (Volume(folder, place),)
        sharing = [self.settings.container_user, job.team]
        if self.settings.dataset_cache_of == "project":
            sharing.append(job.request["git_uri"])
        key = hashlib.sha256(json.dumps(sharing).encode()).hexdigest()[:KEY_CHARACTERS]
        name = f"{folder}/{key}" if folder.startswith("/") else f"{folder}-{key}"
        return (Volume(name, place, own_folder=OWN_CACHE),)

    def give(
        self,
        project: Project,
        own: Mapping[str, str],
        data: DataKeys = NO_DATA_KEYS,
        *,
        token: str = "",
        cache: tuple[Volume, ...] = (),
        rules: Rules = NO_RULES,
    ) -> Given:
        """Combine what the project asks for and may have with the service's ``own`` variables, which win.

        ``token`` is what the training shows our guard; ``rules`` are those of the job's sender.
        """
        permitted = permit_environment(
            project,
            self.settings.project_env_allowlist,
            self.host_environment,
            set_anyway={*AS_IT_IS_PRINTED, *own, *LOGIN, *({AZURE_VARIABLE} if data.account else ())},
            rules=rules,
        )
        private = self._private_files(permitted, own, data, token)
        return Given(
            env={**AS_IT_IS_PRINTED, **WITHOUT_NOISE, **permitted.shown, **own},
            private=private,
            prelude=self._notice + self._notice_of_packages(project) + private.prelude + self._way_past_proxies,
            volumes=(*permit_volumes(project, self.settings.volume_allowlist, rules=rules), *cache),
        )

    def _tracking_variables(self, run: Run) -> dict[str, str]:
        uri = self._tracking_uri
        user = "" if self.inside.is_guarded else self.settings.mlflow_tracking_username
        return {**container_environment(run, uri), **({"MLFLOW_TRACKING_USERNAME": user} if user else {})}

    def _cache_variables(self) -> dict[str, str]:
        folder, most = self.settings.dataset_cache, self.settings.dataset_cache_bytes
        if not folder:
            return {}
        if self.inside.cache_folder:
            is_own = self.settings.dataset_cache_of != "all"
            folder = f"{self.inside.cache_folder}/{OWN_CACHE}" if is_own else self.inside.cache_folder
        return {CACHE_VARIABLE: folder, CACHE_BYTES_VARIABLE: str(most)}

    @property
    def _tracking_uri(self) -> str:
        return self.inside.tracking_uri or self.settings.mlflow_tracking_uri

    @property
    def _way_past_proxies(self) -> str:
        return prelude_of_training(self._tracking_uri, is_guarded=self.inside.is_guarded)

    @property
    def _notice(self) -> str:
        return UNGUARDED if self.settings.tracking_credentials() and not self.inside.is_guarded else ""

    def _notice_of_packages(self, project: Project) -> str:
        """Return what the log of a training says whose project names packages: nothing installs them."""
        if self.inside.runs_images or not project.packages:
            return ""
        text = f"Nothing of {project.packages} was installed: the process runner trains with the worker's own Python."
        return f"echo {shlex.quote(text)} >&2\n"

    def _private_files(
        self, environment: Environment, own: Mapping[str, str], data: DataKeys, token: str
    ) -> PrivateFiles:
        """Return lent variables, except the service's own names, and the credentials of tracking server and data."""
        exports = {name: value for name, value in environment.lent.items() if name not in own}
        # MLflow reads its password only from the environment.
        password = self.settings.mlflow_tracking_password.get_secret_value()
        if password and not self.inside.is_guarded:
            exports[TRACKING_PASSWORD] = password
        if token:
            exports |= {TRACKING_TOKEN: token, **NO_LOGIN}
        if data.account:
            exports[AZURE_VARIABLE] = data.account
        of_git = git_files(data.login, has_home=self.inside.has_home) if data.login else {}
        return private_files(exports, of_git=of_git)
