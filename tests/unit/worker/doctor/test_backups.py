"""The doctor tells how old the last backup is."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.own_files import LAST_BACKUP
from shared.settings import Settings
from worker.doctor.backups import check_backup
from worker.findings.finding import State

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def state(folder: Path, **fields: Any) -> State:
    settings = Settings.load(_env_file=None, data_dir=folder, **fields)
    (found,) = check_backup(settings, NOW)
    return found.state


def keep(file: Path, text: str, *, days_ago: float) -> None:
    file.write_text(text)
    at = (NOW - timedelta(days=days_ago)).timestamp()
    os.utime(file, (at, at))


def test_a_backup_of_yesterday_is_well_and_one_of_last_month_is_not(tmp_path: Path) -> None:
    for days, expected in ((1, State.OK), (30, State.WARNING)):
        saved_at = (NOW - timedelta(days=days)).isoformat()
        (tmp_path / LAST_BACKUP).write_text(json.dumps({"saved_at": saved_at}))
        assert state(tmp_path) is expected
    assert state(tmp_path, backup_max_age_days=60) is State.OK
    assert state(tmp_path, backup_max_age_days=0) is State.SKIPPED


def test_without_any_what_there_is_to_lose_has_the_age_that_counts(tmp_path: Path) -> None:
    assert state(tmp_path / "new") is State.OK
    keep(tmp_path / "jobs.db", "", days_ago=1)
    assert state(tmp_path) is State.OK
    keep(tmp_path / "worker-host", "laptop", days_ago=20)
    assert state(tmp_path) is State.WARNING
    keep(tmp_path / LAST_BACKUP, "nonsense", days_ago=0)
    assert state(tmp_path) is State.WARNING
