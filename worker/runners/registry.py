"""All kinds of runners by the name that RUNNER gives. Nothing else names the modules of one."""

from typing import Final

from worker.plugins import Registry
from worker.runners.kind import RunnerKind

RUNNERS: Final = Registry[RunnerKind](
    group="retrain.runners",
    setting="RUNNER",
    ours={"docker": "worker.runners.docker.kind:Docker", "process": "worker.runners.process.kind:Process"},
)
