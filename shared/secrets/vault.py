"""Credentials at rest: encrypted while a job may need them."""

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
        """Those that are there."""
        return tuple(c for c in (self.source, self.dataset) if c)


class Vault:
    """Encrypts a job's credentials under one key (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            raise ConfigurationError(
                "SECRET_KEY is no Fernet key. Make one with: "
                "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
            ) from error

    @classmethod
    def from_file(cls, path: Path) -> "Vault":
        """Read the key file, making one of mode 0600 where there is none; safe when two processes start at once."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            # Not named by process id: in containers that share the folder all are process 1.
            descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # of mode 0600
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
            try:
                os.link(new, path)  # fails where another process was first; its key counts
                logger.info("made a key file", extra={"path": str(path)})
            except FileExistsError:
                pass
            finally:
                os.unlink(new)
        return cls(path.read_bytes().strip())

    def seal(self, secrets: JobSecrets) -> bytes | None:
        """Encrypt; None where there is nothing to keep."""
        return self._fernet.encrypt(json.dumps(asdict(secrets)).encode()) if secrets else None

    def open(self, sealed: bytes | None) -> JobSecrets:
        """Decrypt what `seal` returned; ConfigurationError when it was sealed under another key."""
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
