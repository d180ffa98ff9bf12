"""All kinds of runners by the name that RUNNER gives. Nothing else names the modules of one."""

from collections.abc import Mapping
from typing import Final

from shared.live_secrets import redactor_of
from shared.plugins import Registry
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.runners.kind import RunnerKind

RUNNERS: Final = Registry[RunnerKind](
    group="retrain.runners",
    setting="RUNNER",
    ours={"docker": "worker.runners.docker.kind:Docker", "process": "worker.runners.process.kind:Process"},
)


def worker_redactor(settings: Settings, environment: Mapping[str, str]) -> Redactor:
    """Return the redactor of a process that works with the runner: it knows that one's secrets, too."""
    secrets = RUNNERS.load(settings.runner).secrets(settings, environment)
    return redactor_of(settings, environment, also=secrets)
