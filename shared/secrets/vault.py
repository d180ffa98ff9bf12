"""Encrypts the credentials of jobs, which are stored while a job may need them."""

import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from shared.addresses.git_uri import Credentials
from shared.errors import ConfigurationError

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
    """Encrypts a job's credentials under one key (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            raise ConfigurationError(
                "SECRET_KEY is not a Fernet key. Make one with: "
                "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            ) from error

    @classmethod
    def from_file(cls, path: Path) -> "Vault":
        """Read the key file, creating it if missing."""
        return cls(cls.key_in(path))

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
        return self._fernet.encrypt(json.dumps(asdict(secrets)).encode()) if secrets else None

    def open(self, sealed: bytes | None) -> JobSecrets:
        """Decrypt what `seal` returned; raise ConfigurationError if it was encrypted under another key."""
        if sealed is None:
            return JobSecrets()
        try:
            values = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken as error:
            raise ConfigurationError(
                "The job's credentials were encrypted under another key. Give the API and all workers the same "
                "SECRET_KEY, or the same key file."
            ) from error
        return JobSecrets(**{name: Credentials(**value) if value else None for name, value in values.items()})

    def seal_text(self, text: str) -> bytes:
        """Encrypt a secret of a trigger's senders."""
        return self._fernet.encrypt(text.encode())

    def open_text(self, sealed: bytes) -> str:
        """Decrypt what `seal_text` returned; raise ConfigurationError if it was encrypted under another key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise ConfigurationError(
                "A trigger's secret was encrypted under another key. Give the API and all workers the same SECRET_KEY, "
                "or the same key file; or change the trigger with its secret again."
            ) from error
