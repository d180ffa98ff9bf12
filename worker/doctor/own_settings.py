"""Checks the settings themselves, as far as that is possible without contacting anything."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import SecretStr

from shared.errors import ConfigurationError
from shared.own_addresses import own_loopback, reachable_at
from shared.own_files import CHOSEN_BY_MAKE_UP
from shared.policy.file import read_policy
from shared.settings import Settings
from worker.findings.disk import disk
from worker.findings.finding import Finding, failure, ok, skipped, warning

SUBJECT = "settings"
ACCESS = f"Let this user (uid {os.getuid()}) read the file that SECRET_KEY_FILE names (DATA_DIR/secret.key without it)."


def unreadable(error: ConfigurationError) -> Iterator[Finding]:
    """Report settings that cannot be read: nothing else can be checked then."""
    advice = "Correct these variables in the environment or .env; docs/reference/settings.md says what each may be."
    yield failure(SUBJECT, error.message, advice)
    yield skipped("everything else", "it needs readable settings")


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Check the key, the data folder and its disk, and the folders that triggers look at."""
    yield _key(settings)
    yield _data_folder(settings.data_dir.resolve())
    yield disk("disk of DATA_DIR", settings.data_dir.resolve(), settings.disk_low_bytes)
    if settings.policy_file is not None:
        yield _policy(settings.policy_file)
    if settings.trigger_folders:
        yield _trigger_folders(sorted(settings.trigger_folders))


def chosen_by_make_up(settings: Settings) -> dict[str, str]:
    """Return what a `make up` that runs on this data folder decided about settings that are not given here."""
    try:
        chosen = json.loads((settings.data_dir / CHOSEN_BY_MAKE_UP).read_bytes())
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in chosen.items() if name.lower() not in settings.model_fields_set}


def as_make_up_has_it(settings: Settings) -> Settings:
    """Add the password that `make up` gave its own Redis, if this is its data folder and REDIS_URL is not set."""
    file = settings.data_dir / "redis-password"
    if "redis_url" in settings.model_fields_set or not os.access(file, os.R_OK):
        return settings
    url = f"redis://:{file.read_text().strip()}@{reachable_at(own_loopback())}:{settings.redis_port}/0"
    return settings.model_copy(update={"redis_url": SecretStr(url)})


def _key(settings: Settings) -> Finding:
    if settings.secret_key:
        return _key_as_read(settings, "readable", "SECRET_KEY is not a Fernet key")
    file = settings.secret_key_file or settings.data_dir / "secret.key"
    found = f"readable; key of credentials in {file}, which the API and all workers must share"
    return _key_as_read(settings, found, f"{file} holds no Fernet key") if os.path.exists(file) else ok(SUBJECT, found)


def _key_as_read(settings: Settings, found: str, wrong: str) -> Finding:
    """Read the key as the start does; a file that does not exist is left to the start, which makes it."""
    try:
        settings.vault()
    except ConfigurationError as error:
        before = "Put the file back that was there before (from the backup): a new key loses the credentials of jobs "
        advice = error.message if settings.secret_key else f"{before}that wait. {error.message}"
        return failure(SUBJECT, wrong, advice)
    except OSError as error:
        return failure(SUBJECT, f"the key of credentials cannot be read: {error.strerror}", ACCESS)
    return ok(SUBJECT, found)


def _policy(path: Path) -> Finding:
    try:
        document = read_policy(path)
    except ConfigurationError as error:
        advice = "Correct the file; what was read before holds until then, and no process starts with it as it is."
        return failure("POLICY_FILE", error.message, advice)
    tables = [*(f"team.{name}" for name in document.team), *(f"role.{name}" for name in document.role)]
    return ok("POLICY_FILE", f"{path}: default{''.join(f', {name}' for name in tables)}")


def _trigger_folders(folders: Sequence[str]) -> Finding:
    subject = "TRIGGER_FOLDERS"
    for folder in folders:
        if not os.path.isdir(folder) or not os.access(folder, os.R_OK | os.X_OK):
            advice = f"Mount it on this host too, and let this user (uid {os.getuid()}) read it, or leave it out."
            return warning(subject, f"{folder} is not a folder here that can be read", advice)
    return ok(subject, ", ".join(folders))


def _data_folder(folder: Path) -> Finding:
    here = next(each for each in (folder, *folder.parents) if each.exists())
    if here.is_dir() and os.access(here, os.W_OK | os.X_OK):
        return ok("DATA_DIR", str(folder))
    advice = (
        f"Give this user (uid {os.getuid()}) write access (chown, or the volume's options), or set another DATA_DIR."
    )
    return failure("DATA_DIR", f"{here} is not writable", advice)
