"""Checks the file of the operator's own logins: whether it may be used, and what of it is in use."""

from collections.abc import Iterator

from shared.errors import ConfigurationError
from shared.settings import Settings
from worker.credentials.credentials_file import read_once
from worker.credentials.entries import Entry
from worker.findings.finding import Finding, failure, ok, warning

SUBJECT = "credentials"
ADVICE = "Correct the file that CREDENTIALS_FILE names; docs/operate/credentials.md says what it may hold."


def check_credentials(settings: Settings) -> Iterator[Finding]:
    """Check the file, if there is one."""
    if settings.credentials_file is None:
        return
    try:
        named = read_once(settings.credentials_file)
    except ConfigurationError as error:
        yield failure(SUBJECT, error.message, ADVICE)
        return
    counts = ", ".join(f"{len(entries)} {kind}" for kind, entries in named if entries) or "no entries"
    yield ok(SUBJECT, f"{settings.credentials_file}: {counts}")
    if bare := sorted({entry.url for entry in named.all if _is_in_clear(entry)}):
        yield warning(SUBJECT, f"shown in clear: {', '.join(bare)}", "Use https where the host has it.")


def _is_in_clear(entry: Entry) -> bool:
    return entry.url.startswith("http://")
