"""The registry of runners, by the names that RUNNER may have. Nothing else names a runner's modules."""

from collections.abc import Mapping
from typing import Final

from shared.live_secrets import redactor_of
from shared.plugins import Registry
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.credentials.credentials_file import read_once
from worker.runners.kind import RunnerKind

RUNNERS: Final = Registry[RunnerKind](
    group="retrain.runners",
    setting="RUNNER",
    ours={"docker": "worker.runners.docker.kind:Docker", "process": "worker.runners.process.kind:Process"},
)


def worker_redactor(settings: Settings, environment: Mapping[str, str]) -> Redactor:
    """Return the redactor of a process that uses the runner, with the runner's secrets and the operator's logins."""
    secrets = RUNNERS.load(settings.runner).secrets(settings, environment)
    named = read_once(settings.credentials_file).secrets
    return redactor_of(settings, environment, also=[*secrets, *named])
