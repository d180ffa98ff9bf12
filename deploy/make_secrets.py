"""`make secrets`: writes a file for each secret of docker-compose.yml, random where possible; overwrites none.

Only the operator can enter the folder (0700). Its files are readable by all, because Compose mounts each into the
containers that need it, which run as other users. Needs only Python, because it runs before anything is installed.
"""

import argparse
import base64
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.secrets.attempt_key import attempt_key
from shared.secrets.keys import KeyFile

FOLDER = Path(__file__).resolve().parent / "secrets"
WORD_BYTES = 24
ALERTS = "alerts"  # in it a file for each secret of alert channels that have none here, by its setting's name
GIVEN = (  # by somebody else; an empty file is as good as none
    "alert_webhook_secret",
    "alert_webhook_url",
    "alert_webhooks",
    "azure_storage_access_key",
    "azure_storage_connection_string",
    "credentials",
    "discord_webhook_url",
    "docker_config",
    "mlflow_tracking_password",
)


def made_up() -> dict[str, str]:
    """Return new random secrets, by file name."""
    words = ("postgres_password", "mlflow_postgres_password", "redis_password", "prometheus_token", "grafana_password")
    return {
        **{name: secrets.token_urlsafe(WORD_BYTES) for name in words},
        "secret_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "flower_basic_auth": f"admin:{secrets.token_urlsafe(WORD_BYTES)}",
        "azurite_key": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


def made_of(known: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that contain others."""
    return {
        "database_url": f"postgresql://retrain:{known['postgres_password']}@postgres:5432/retrain",
        "mlflow_database_url": f"postgresql://mlflow:{known['mlflow_postgres_password']}@postgres:5432/mlflow",
        "redis_url": f"redis://:{known['redis_password']}@redis:6379/0",
        "tracking_guard_key": attempt_key(known["secret_key"]),
        "api_tokens": secrets.token_urlsafe(WORD_BYTES),
        "azurite_connection_string": "DefaultEndpointsProtocol=http;AccountName=store;"
        f"AccountKey={known['azurite_key']};BlobEndpoint=http://azurite:10000/store;",
    }


def fill(folder: Path) -> list[str]:
    """Write the files that are missing; return their names."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / ALERTS).mkdir(exist_ok=True)
    (folder / ALERTS).chmod(0o755)  # whatever the umask
    made = _write_missing(folder, made_up())
    made += _write_missing(folder, made_of({name: (folder / name).read_text().strip() for name in made_up()}))
    return made + _write_missing(folder, dict.fromkeys(GIVEN, ""))


def _write_missing(folder: Path, values: Mapping[str, str]) -> list[str]:
    missing = [name for name in values if not (folder / name).exists()]
    for name in missing:
        _write(folder / name, values[name])
    return missing


def _write(path: Path, value: str) -> None:
    path.touch(mode=0o644, exist_ok=False)
    path.write_text(value)
    path.chmod(0o644)  # whatever the umask


def rotate(folder: Path, *, uses: bool, drops: bool) -> None:
    """Take one step of the rotation of secret_key; the guards' key, which is made of it, goes first."""
    key, guards = KeyFile(folder / "secret_key"), KeyFile(folder / "tracking_guard_key")
    if drops:
        key.drop()
        guards.drop()
        return
    if len(key.keys) == 1:
        new = made_up()["secret_key"]
        guards.add(attempt_key(new))
        key.add(new)
    if uses and (new_key := key.waiting):
        guards.use(attempt_key(new_key))
        key.use(new_key)


def main() -> int:
    """Make the folder, or change its keys."""
    parser = argparse.ArgumentParser(prog="make secrets", description="Write deploy/secrets; overwrites nothing.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--add-key", action="store_true", help="add a second secret_key, which only opens yet")
    steps.add_argument("--use-key", action="store_true", help="add it if it is not there, and seal with it from now on")
    steps.add_argument("--drop-key", action="store_true", help="forget the secret_key before it")
    chosen = parser.parse_args()
    folder = chosen.folder
    try:
        if chosen.add_key or chosen.use_key or chosen.drop_key:
            rotate(folder, uses=chosen.use_key, drops=chosen.drop_key)
            return 0
        made = fill(folder)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"{folder}: {'made ' + ', '.join(made) if made else 'nothing was missing'}.")
    print(f"Empty until you fill what you need: {', '.join(GIVEN)}, and the folder {ALERTS}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
