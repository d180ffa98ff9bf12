"""Checks when `make backup` last ran; a file in DATA_DIR records it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.own_files import LAST_BACKUP
from shared.settings import Settings
from worker.findings.finding import Finding, ok, skipped, warning

SUBJECT = "backup"
ADVICE = (
    "Run make backup, ideally every night by cron, and keep its folder on another machine. If something else backs up "
    "the records, or another host, set BACKUP_MAX_AGE_DAYS=0."
)


def check_backup(settings: Settings, now: datetime | None = None) -> Iterator[Finding]:
    """Compare the last backup's age with BACKUP_MAX_AGE_DAYS; before the first, the age of what it would save."""
    if not settings.backup_max_age_days:
        yield skipped(SUBJECT, "BACKUP_MAX_AGE_DAYS=0")
        return
    now, folder = now or datetime.now(UTC), settings.data_dir.resolve()
    saved_at = _saved_at(folder / LAST_BACKUP)
    age = now - (saved_at or _oldest(folder) or now)
    seen = f"the last one is of {saved_at:%Y-%m-%d %H:%M} UTC" if saved_at else f"none yet, in {age.days} days"
    if age <= timedelta(days=settings.backup_max_age_days):
        yield ok(SUBJECT, seen)
    else:
        yield warning(SUBJECT, seen, ADVICE)


def _saved_at(file: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(file.read_text())["saved_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _oldest(folder: Path) -> datetime | None:
    times = [each.lstat().st_mtime for each in folder.iterdir()] if folder.is_dir() else []
    return datetime.fromtimestamp(min(times), UTC) if times else None
