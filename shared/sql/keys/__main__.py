"""`python -m shared.sql.keys`: gives SECRET_KEY's place to a new key, while API and workers run."""

import argparse
import sys
import time

from cryptography.fernet import Fernet

from shared import logs
from shared.errors import ConfigurationError, RetrainError
from shared.live_secrets import environment, redactor_of
from shared.own_files import GUARD_KEY
from shared.secrets.attempt_key import attempt_key
from shared.secrets.keys import KeyFile
from shared.settings import Settings
from shared.sql import SqlStore, schema
from shared.sql.keys.resealing import attempts_since_before, reseal

SETTLE_SECONDS = 5.0  # in which requests end that sealed with the key before
NOT_YET = 3
STEPS = {
    "rotate": "everything, as far as it can be done now; repeat it until it says that the old key is dropped",
    "add": "only make a key that opens, for all hosts to get before the first one uses it",
    "reseal": "only encrypt again what is stored; exit code 3 if the old key is needed still",
}


class Rotation:
    """The rotation of one service's key. Every step may be repeated."""

    def __init__(self, settings: Settings, store: SqlStore) -> None:
        self._store, self._vault = store, settings.vault()
        self._file = KeyFile(settings.secret_key_file or settings.data_dir / "secret.key")
        self._guard = KeyFile(settings.data_dir / GUARD_KEY)
        self._has_guard = (settings.data_dir / GUARD_KEY).exists()

    def add(self) -> None:
        """Make a key that opens, unless there are two already; the guard gets its own first."""
        if len(self._file.keys) == 1:
            new = Fernet.generate_key().decode()
            if self._has_guard:
                self._guard.add(attempt_key(new))
            self._file.add(new)
            print("Added a key.", flush=True)

    def use(self) -> None:
        """Let the added key seal."""
        if new := self._file.waiting:
            if self._has_guard:
                self._guard.use(attempt_key(new))
            self._file.use(new)
            print("The new key is in use.", flush=True)
            time.sleep(SETTLE_SECONDS)

    def reseal(self) -> bool:
        """Encrypt everything again; return whether nothing needs the old key any more."""
        print(f"Encrypted again: {reseal(self._store, self._vault)}.", flush=True)
        running = attempts_since_before(self._store, self._file.changed_at) if len(self._file.keys) > 1 else 0
        if running:
            print(
                f"The old key is kept, because {running} attempts have tokens of it. Repeat this when they have ended."
            )
        return not running

    def drop(self) -> None:
        """Forget the old key."""
        if len(self._file.keys) > 1:
            self._file.drop()
            if self._has_guard:
                self._guard.drop()
            print("The old key is dropped.", flush=True)


def main() -> int:
    """Do one step, or all."""
    told = "\n".join(f"  {name}: {what}" for name, what in STEPS.items())
    parser = argparse.ArgumentParser(
        prog="python -m shared.sql.keys",
        description=f"Rotate SECRET_KEY while the service runs. Steps:\n{told}",
        epilog="docs/operate/credentials.md says how, also for Compose and several hosts.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", nargs="?", choices=STEPS, default="rotate")
    step = parser.parse_args().step
    try:
        settings = Settings.load()
        logs.configure(settings.log_level, settings.log_format, redactor_of(settings, environment()))
        if settings.secret_key:
            raise ConfigurationError(
                "SECRET_KEY is a variable, and only a file is rotated: name one in SECRET_KEY_FILE."
            )
        store = SqlStore(settings.store_url)
        try:
            return _run(Rotation(settings, store), step, store)
        finally:
            store.close()
    except RetrainError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(rotation: Rotation, step: str, store: SqlStore) -> int:
    schema.check(store)
    if step == "add":
        rotation.add()
        return 0
    if step == "rotate":
        rotation.add()
        rotation.use()
    if not rotation.reseal():
        return NOT_YET
    if step == "rotate":
        rotation.drop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
