"""`python -m worker.doctor` (`make doctor`, `retrain doctor`): runs all checks at once; exits with 1 if one fails."""

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from shared.errors import ConfigurationError
from shared.live_secrets import redactor_of
from shared.proxies import go_directly_to_own_parts
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.doctor import report
from worker.doctor.alert_channels import check_alert_channels
from worker.doctor.backups import check_backup
from worker.doctor.credentials import check_credentials
from worker.doctor.database import check_database
from worker.doctor.examination import Check, examine
from worker.doctor.git_hosts import check_git
from worker.doctor.own_settings import as_make_up_has_it, check_settings, chosen_by_make_up, unreadable
from worker.doctor.redis_server import check_redis
from worker.doctor.runner import check_runner
from worker.doctor.tracking_server import check_tracking
from worker.findings.finding import Finding
from worker.runners.registry import worker_redactor


def findings(environment: Mapping[str, str]) -> list[Finding]:
    """Return what the checks find, or that the settings cannot be read."""
    try:
        os.environ.update(chosen_by_make_up(Settings.load()))
        settings = as_make_up_has_it(Settings.load())
        go_directly_to_own_parts(os.environ, settings)
    except ConfigurationError as error:
        return list(unreadable(error))
    return findings_of(settings, environment)


def findings_of(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Check everything that the settings name."""
    found = examine(checks_of(settings, environment))
    try:
        redactor = worker_redactor(settings, environment)
    except ConfigurationError:  # there is no such runner, which is a finding
        redactor = redactor_of(settings, environment)
    return without_secrets(found, redactor)


def without_secrets(found: Iterable[Finding], redactor: Redactor) -> list[Finding]:
    """Redact secrets: other systems' errors may repeat what they were sent."""
    return [replace(each, seen=redactor.text(each.seen), advice=redactor.text(each.advice)) for each in found]


def checks_of(settings: Settings, environment: Mapping[str, str]) -> dict[str, Check]:
    """Return the checks by subject, in the order in which they are printed."""
    return {
        "settings": partial(check_settings, settings),
        settings.runner.capitalize(): partial(check_runner, settings, environment),
        "Redis": partial(check_redis, settings),
        "database": partial(check_database, settings),
        "MLflow": partial(check_tracking, settings),
        "credentials": partial(check_credentials, settings),
        "git": partial(check_git, settings, environment),
        "alerts": partial(check_alert_channels, settings),
        "backup": partial(check_backup, settings),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the findings."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.doctor",
        description="Check everything that a worker on this host depends on, and say how to mend what is wrong.",
        epilog="Exit codes: 0 nothing failed, 1 something did. Settings come from the environment and .env.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    as_json = parser.parse_args(arguments).json
    found = findings(os.environ)
    sys.stdout.write(report.as_json(found) if as_json else report.as_text(found))
    return int(report.has_failure(found))


if __name__ == "__main__":
    sys.exit(main())
