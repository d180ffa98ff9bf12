"""The entry of the process runner in the registry."""

import logging
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from shared.settings import Settings
from worker.findings.finding import Finding, skipped
from worker.runners.process.runner import ProcessRunner
from worker.runners.seam import log_bounds

logger = logging.getLogger(__name__)


class Process:
    """Runs trainings as processes of the worker's own user."""

    @staticmethod
    def from_settings(settings: Settings, environment: Mapping[str, str]) -> ProcessRunner:
        """Create a worker's runner."""
        logger.warning("training runs as plain processes of this user: no isolation, no limits (RUNNER=process)")
        folder = settings.data_dir / "processes" / settings.worker_host
        return ProcessRunner(folder, python=Path(sys.executable), base_env=environment, log_bounds=log_bounds(settings))

    @staticmethod
    def check(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
        """Report that Docker is not checked."""
        yield skipped("Docker", "RUNNER=process: training runs as plain processes, not isolated")

    @staticmethod
    def secrets(settings: Settings, environment: Mapping[str, str]) -> Iterator[str]:
        """Yield nothing: a process knows no secrets that the worker does not know."""
        yield from ()

    @staticmethod
    def find_version(environment: Mapping[str, str]) -> str | None:
        """Return Python's version, because Python runs the processes."""
        return f"Python {platform.python_version()}"

    @staticmethod
    def find_network(name: str = "") -> None:
        """Return None: processes are on this machine's own network."""
