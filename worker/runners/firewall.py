"""The sign by which a worker knows that the firewall of trainings (deploy/firewall) is in place."""

import time
from pathlib import Path

FIREWALL_SECONDS = 30  # without a sign of it


def is_fresh(file: Path) -> bool:
    """Whether the firewall has seen its rules stand a moment ago."""
    try:
        return abs(time.time() - file.stat().st_mtime) < FIREWALL_SECONDS
    except OSError:
        return False
