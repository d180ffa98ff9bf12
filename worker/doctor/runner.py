"""Lets the runner check whether it can run trainings on this host."""

from collections.abc import Iterator, Mapping

from shared.errors import ConfigurationError
from shared.settings import Settings
from worker.findings.finding import Finding, failure
from worker.runners.registry import RUNNERS


def check_runner(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Run the checks of the runner that RUNNER names; report it if there is no such runner."""
    try:
        kind = RUNNERS.load(settings.runner)
    except ConfigurationError as error:
        yield failure("runner", error.message, "Correct RUNNER, or install the distribution that brings the runner.")
        return
    yield from kind.check(settings, environment)
