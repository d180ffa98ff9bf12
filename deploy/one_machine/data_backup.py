"""`make backup` and `make restore` of what `make up` keeps: the job store, MLflow's records and artifacts, and the key.

Needs nothing but Python's own library and the settings. Redis is left out: the sweep sends again what waits.
"""

import argparse
import hashlib
import json
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from deploy.one_machine.stack import data_lock
from shared.errors import ConfigurationError
from shared.own_files import LAST_BACKUP
from shared.settings import Settings

DATABASES = ("jobs.db", "mlflow/mlflow.db")
ARTIFACTS = "mlflow/artifacts"
FILES = ("secret.key", "worker-host")  # what opens kept credentials, and whose jobs run here
SUMS = "SHA256SUMS"
LOCK_SECONDS = 60


def save(data: Path, folder: Path) -> None:
    """Save into a new folder, while everything runs: each database as of one moment, then the artifacts."""
    if folder.exists():
        raise ConfigurationError(f"{folder} exists already. Name a new folder.")
    if not (data / "jobs.db").exists():
        raise ConfigurationError(f"{data} has no jobs.db: nothing of `make up` is there. Is DATA_DIR right?")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of one that was killed
    unfinished.mkdir(mode=0o700, parents=True)  # the key lies in it
    for name in _present(data, DATABASES):
        _copy_database(data / name, unfinished / name)
    for name in _present(data, FILES):
        shutil.copy2(data / name, unfinished / name)
    if (data / ARTIFACTS).exists():
        _copy_tree(data / ARTIFACTS, unfinished / ARTIFACTS)
    _write_sums(unfinished)
    unfinished.rename(folder)
    (data / LAST_BACKUP).write_text(json.dumps({"saved_at": datetime.now(UTC).isoformat(timespec="seconds")}))


def restore(folder: Path, data: Path) -> None:
    """Put it back where no stack runs and no records are."""
    if not (folder / "jobs.db").exists():
        raise ConfigurationError(f"{folder} is no backup of `make up`.")
    _refuse_what_has_changed(folder)
    with data_lock(data):
        if there := _present(data, DATABASES):
            raise ConfigurationError(f"{data} has {' and '.join(there)} already. Move that folder away first.")
        shutil.copytree(folder, data, dirs_exist_ok=True, ignore=shutil.ignore_patterns("jobs.db", SUMS))
        shutil.copy2(folder / "jobs.db", data / "jobs.db")  # last, so that half of a backup is not taken for all of it


def _present(folder: Path, names: Sequence[str]) -> list[str]:
    return [name for name in names if (folder / name).exists()]


def _copy_database(source: Path, target: Path) -> None:
    """Copy the database as of one moment; the copy waits for writers, and they wait for it."""
    target.parent.mkdir(exist_ok=True)
    with (
        closing(sqlite3.connect(source, timeout=LOCK_SECONDS)) as original,
        closing(sqlite3.connect(target)) as copy,
    ):
        original.backup(copy)
        (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise ConfigurationError(f"The copy of {source} is damaged ({found}), so this is no backup. Is {source} well?")


def _write_sums(folder: Path) -> None:
    """Read what was written again, and note what it is to be."""
    lines = [f"{_sum(path)}  {path.relative_to(folder)}" for path in sorted(folder.rglob("*")) if path.is_file()]
    (folder / SUMS).write_text("\n".join(lines) + "\n")


def _refuse_what_has_changed(folder: Path) -> None:
    """Compare with what was noted; backups of earlier versions have no sums."""
    if not (folder / SUMS).exists():
        return
    for line in (folder / SUMS).read_text().splitlines():
        noted, _, name = line.partition("  ")
        if not (folder / name).is_file() or _sum(folder / name) != noted:
            raise ConfigurationError(f"{folder / name} is not as it was written; nothing was changed.")


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy_tree(source: Path, target: Path) -> None:
    """Copy what is there; no record speaks of what comes or goes meanwhile."""
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy2(path, copy)
            except FileNotFoundError:
                continue


def main(arguments: Sequence[str] | None = None) -> int:
    """Save or restore."""
    parser = argparse.ArgumentParser(prog="python -m deploy.one_machine.data_backup", description=__doc__)
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args(arguments)
    try:
        settings = Settings.load()
        for name in ("database_url", "mlflow_database_url"):
            if getattr(settings, name).get_secret_value():
                raise ConfigurationError(f"{name.upper()} names a database of your own: save it by its own tools.")
        data = settings.data_dir.resolve()
        if asked.what == "save":
            save(data, asked.folder)
            print(f"Backup of {data}: {asked.folder.resolve()} (read again after it was written)")
        else:
            restore(asked.folder, data)
            print(f"Restored {asked.folder} to {data}. Start it with `make up`.")
    except (ConfigurationError, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
