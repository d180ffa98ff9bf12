"""Refuses a change of ARTIFACTS_DESTINATION while models are in the old place, and copies them to the new one.

MLflow's own addresses of artifacts only say that the server has them, so after a silent change nothing old is found.
`python -m deploy.artifact_store` does the copying.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError, RetrainError
from shared.own_files import keep_files_private
from shared.settings import Settings

RECORD = "artifacts-destination"
COPY = "python -m deploy.artifact_store"
PROGRESS_FILES = 100


def refuse_a_silent_change(settings: Settings) -> None:
    """Raise ConfigurationError if artifacts are in another place than the settings name; else note the place."""
    wanted, known = settings.artifacts_destination, _noted(settings)
    if wanted != known and not _is_empty(settings, known):
        raise ConfigurationError(
            f"ARTIFACTS_DESTINATION is {_told(wanted)} now, but models and logs are in {_told(known)}, where MLflow "
            f"would no longer find them. Copy them with `{COPY}` (Compose: docker compose run --rm mlflow {COPY}), "
            "or set ARTIFACTS_DESTINATION back."
        )
    _note(settings)


def storage_credentials(settings: Settings) -> dict[str, str]:
    """Return the credentials of the artifact storage as MLflow reads them; it prefers the connection string."""
    secrets = {
        "AZURE_STORAGE_ACCESS_KEY": settings.azure_storage_access_key,
        "AZURE_STORAGE_CONNECTION_STRING": settings.azure_storage_connection_string,
    }
    return {name: secret.get_secret_value() for name, secret in secrets.items() if secret.get_secret_value()}


def place_of(settings: Settings, destination: str) -> str:
    """Return the folder or address that a value of ARTIFACTS_DESTINATION means."""
    return destination or str((settings.data_dir / "mlflow" / "artifacts").resolve())


def copy(settings: Settings) -> tuple[int, int]:
    """Copy what is missing in the new place, and verify it; return how many files were copied, and how many there are.

    It may be repeated after an interruption. The old place stays as it is.
    """
    old, new = (_repository(place_of(settings, each)) for each in (_noted(settings), settings.artifacts_destination))
    wanted, there = dict(_files(old)), dict(_files(new))
    missing = {name for name, size in wanted.items() if there.get(name) != size}
    for number, name in enumerate(sorted(missing), start=1):
        _copy_file(old, new, name)
        if not number % PROGRESS_FILES:
            print(f"{number} of {len(missing)} files", flush=True)
    there = dict(_files(new))
    if lost := sorted(name for name, size in wanted.items() if there.get(name) != size):
        raise ConfigurationError(f"{len(lost)} files were not copied completely, such as {lost[0]}. Run it again.")
    _note(settings)
    return len(missing), len(wanted)


def _noted(settings: Settings) -> str:
    """Return the value that the server last started with; without such a note, the default or the current value."""
    try:
        return _record(settings).read_text()
    except FileNotFoundError:
        return ""


def _note(settings: Settings) -> None:
    _record(settings).parent.mkdir(parents=True, exist_ok=True)
    _record(settings).write_text(settings.artifacts_destination)


def _record(settings: Settings) -> Path:
    return settings.data_dir / "mlflow" / RECORD


def _told(destination: str) -> str:
    return destination or "DATA_DIR (its default)"


def _is_empty(settings: Settings, destination: str) -> bool:
    """Return whether nothing is there; a place that does not answer counts as full."""
    if not destination:
        folder = Path(place_of(settings, destination))
        return not any(each.is_file() for each in folder.rglob("*"))
    from azure.core.exceptions import AzureError  # noqa: PLC0415 - only for a change
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return next(_files(_repository(destination)), None) is None
    except (AzureError, MlflowException, ImportError, OSError):
        return False


def _repository(place: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: PLC0415 - slow

    if "://" not in place:
        Path(place).mkdir(parents=True, exist_ok=True)
    return get_artifact_repository(place)


def _files(repository: Any, folder: str | None = None) -> Iterator[tuple[str, int | None]]:
    """Each file's path in the store, and its size in bytes."""
    for each in repository.list_artifacts(folder):
        if each.is_dir:
            yield from _files(repository, each.path)
        else:
            yield each.path, each.file_size


def _copy_file(old: Any, new: Any, name: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, Path(name).name)
        with redirect_stdout(sys.stderr):
            old._download_file(name, str(file))  # the public method shows a progress bar for each file
        new.log_artifact(str(file), str(Path(name).parent) if "/" in name else None)


def main() -> int:
    """Copy the files if the settings name another place than before."""
    parser = argparse.ArgumentParser(
        prog=COPY,
        description="Copy artifacts from where MLflow kept them so far to what ARTIFACTS_DESTINATION says now. Stop "
        "MLflow first. Nothing is deleted, and an interrupted copy is resumed.",
    )
    parser.parse_args()
    try:
        settings = Settings.load()
        keep_files_private()
        os.environ.update(storage_credentials(settings))
        copied, total = copy(settings)
    except (RetrainError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"{copied} files copied; all {total} are in {_told(settings.artifacts_destination)} now.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
