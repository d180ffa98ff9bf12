"""Checks whether another machine's clock agrees with ours."""

from datetime import datetime

from worker.findings.finding import Finding, ok, warning

MOST_SECONDS = 5.0
ADVICE = (
    "Let both machines follow a time server (chrony, systemd-timesyncd; timedatectl shows it): times in records, "
    "alerts and logs are wrong until then, and leases may be taken over too early."
)


def compare(whose: str, theirs: datetime, ours: datetime) -> Finding:
    """Report the difference between two clocks."""
    ahead_seconds = (theirs - ours).total_seconds()
    if abs(ahead_seconds) <= MOST_SECONDS:
        return ok(f"{whose} clock", f"within {MOST_SECONDS:g} s of this host's")
    direction = "ahead of" if ahead_seconds > 0 else "behind"
    return warning(f"{whose} clock", f"{abs(ahead_seconds):.0f} s {direction} this host's", ADVICE)
