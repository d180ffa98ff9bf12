"""Tells a worker whether the firewall of trainings (deploy/firewall) is in place."""

import time
from pathlib import Path

FIREWALL_SECONDS = 30  # how old its file may be


def is_fresh(file: Path) -> bool:
    """Return whether the firewall confirmed its rules a moment ago."""
    try:
        return abs(time.time() - file.stat().st_mtime) < FIREWALL_SECONDS
    except OSError:
        return False
