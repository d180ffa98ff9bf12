"""Encrypts the credentials of jobs, which are stored while a job may need them."""

import json
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.addresses.git_uri import Credentials
from shared.errors import ConfigurationError
from shared.secrets.keys import Reader

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobSecrets:
    """The credentials that came with a request."""

    source: Credentials | None = None
    dataset: Credentials | None = None

    def __bool__(self) -> bool:
        return bool(self.source or self.dataset)

    @property
    def all(self) -> tuple[Credentials, ...]:
        """Return the credentials that are present."""
        return tuple(c for c in (self.source, self.dataset) if c)


class Vault:
    """Encrypts a job's credentials under one key (Fernet: AES-128-CBC with HMAC-SHA256), and opens by several.

    The last key seals. Of a file they are read again when it changes.
    """

    def __init__(self, *keys: bytes, file: Path | None = None) -> None:
        self._all: MultiFernet | None = None
        self._reader = Reader(file, lambda found: self._take([key.encode() for key in found])) if file else None
        if file is None:
            self._take(keys)
        else:
            self._look()

    def _take(self, keys: Sequence[bytes]) -> None:
        try:
            self._newest, *older = [Fernet(key) for key in reversed(keys)]
            self._all = MultiFernet([self._newest, *older])
        except ValueError as error:
            raise ConfigurationError(
                "SECRET_KEY is not a Fernet key. Make one with: "
                "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            ) from error

    @classmethod
    def from_file(cls, path: Path) -> "Vault":
        """Read the key file, creating it if missing."""
        cls.key_in(path)
        return cls(file=path)

    def _look(self) -> MultiFernet:
        """Return what opens and seals now; while a changed file is unusable, what did before."""
        try:
            if self._reader:
                self._reader.look()
        except (OSError, ValueError, ConfigurationError):
            if self._all is None:
                raise
        assert self._all is not None  # noqa: S101 - else the line above has raised
        return self._all

    def resealed(self, sealed: bytes) -> bytes | None:
        """Return the same under the key that seals now; None if it already is. Raise as `open` does."""
        everything = self._look()
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return self._opened(lambda: everything.rotate(sealed), "What is stored")
        return None

    @staticmethod
    def _opened(work: Callable[[], bytes], what: str, advice: str = "") -> bytes:
        try:
            return work()
        except InvalidToken as error:
            raise ConfigurationError(
                f"{what} was encrypted under another key. Give the API and all workers the same SECRET_KEY, or the "
                f"same key file{advice}."
            ) from error

    @staticmethod
    def key_in(path: Path) -> bytes:
        """Return the file's key; create it with mode 0600 if missing; safe when two processes start at once."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # Not named by process id: containers that share the folder are all process 1.
            descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # of mode 0600
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
            try:
                os.link(new, path)  # fails if another process was first; then its key counts
                logger.info("made a key file", extra={"path": str(path)})
            except FileExistsError:
                pass
            finally:
                os.unlink(new)
        return path.read_bytes().strip()

    def seal(self, secrets: JobSecrets) -> bytes | None:
        """Encrypt the credentials; return None if there are none."""
        return self._look().encrypt(json.dumps(asdict(secrets)).encode()) if secrets else None

    def open(self, sealed: bytes | None) -> JobSecrets:
        """Decrypt what `seal` returned; raise ConfigurationError if it was encrypted under another key."""
        if sealed is None:
            return JobSecrets()
        values = json.loads(self._opened(lambda: self._look().decrypt(sealed), "The job's login"))
        return JobSecrets(**{name: Credentials(**value) if value else None for name, value in values.items()})

    def seal_text(self, text: str) -> bytes:
        """Encrypt a secret of a trigger's senders."""
        return self._look().encrypt(text.encode())

    def open_text(self, sealed: bytes) -> str:
        """Decrypt what `seal_text` returned; raise ConfigurationError if it was encrypted under another key."""
        advice = "; or change the trigger with its secret again"
        return self._opened(lambda: self._look().decrypt(sealed), "A trigger's secret", advice).decode()
