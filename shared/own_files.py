"""Makes what the service writes readable only by its own user: requests, logs, models and private sources."""

import os
from contextlib import suppress
from pathlib import Path
from stat import S_IRWXG, S_IRWXO, S_ISVTX, S_IWOTH

LAST_BACKUP = "last-backup.json"  # in DATA_DIR: when make backup last ran
GUARD_KEY = "tracking-guard-key"  # in DATA_DIR: what make up's guard knows trainings' tokens by
CHOSEN_BY_MAKE_UP = "chosen-settings.json"  # in DATA_DIR, while make up runs
# What the service creates in DATA_DIR. Other things there, such as a cache of datasets, are not ours to close.
MADE_IN_DATA_DIR = (
    *("jobs.db", "jobs.db-shm", "jobs.db-wal", "flower.db", "stack.json", "stack.lock"),
    *("mirrors", "mlflow", "processes", "valkey", "work"),
)


def keep_files_private() -> None:
    """Let no other user read what this process and its children write from now on."""
    os.umask(0o077)


def close_to_others(data_dir: Path) -> None:
    """Close the folder, whoever made it, and what an earlier version left readable in it.

    A closed folder also closes its contents. One that others use, too (/tmp, a home, root's /srv), stays as it is.
    """
    ours = [data_dir / name for name in MADE_IN_DATA_DIR]
    for path in ours if _is_for_others(data_dir) else [data_dir, *ours]:
        with suppress(FileNotFoundError, PermissionError):  # another user's is not ours to change
            path.chmod(path.stat().st_mode & 0o700)


def _is_for_others(folder: Path) -> bool:
    """Return whether anybody may write to it, every machine has it, or a folder in it is open that is not ours."""
    with suppress(FileNotFoundError, PermissionError, RuntimeError):
        is_public = folder.stat().st_mode & (S_ISVTX | S_IWOTH) or folder.resolve() in (Path("/"), Path.home())
        return bool(is_public) or any(map(_is_open, folder.iterdir()))
    return False


def _is_open(path: Path) -> bool:
    """Return whether it is a folder that somebody keeps open beside what is ours."""
    return path.name not in MADE_IN_DATA_DIR and path.is_dir() and bool(path.stat().st_mode & (S_IRWXG | S_IRWXO))
