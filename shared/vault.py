"""Credentials at rest and in text: encrypted while a job may need them, and taken out of all that is kept or shown."""

import base64
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography.fernet import Fernet, InvalidToken

from shared.errors import ConfigurationError
from shared.git_uri import Credentials

logger = logging.getLogger(__name__)

MASK = "***"
SHORT = 8  # characters; a shorter secret stands in longer words by chance, and is masked only as a word
WORD_CHARACTER = "[A-Za-z0-9_]"


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


class Redactor:
    """Replaces secrets in text, in each form in which programs print them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)
        self._patterns = [re.compile(_pattern(form)) for form in forms]
        self._bytes_patterns = [re.compile(_pattern(form).encode()) for form in forms]

    @classmethod
    def of(cls, credentials: Iterable[Credentials], *others: str) -> "Redactor":
        """A redactor of what these credentials hold, alone and together as HTTP Basic shows them, and of others."""
        found = list(credentials)
        pairs = [f"{c.username}:{c.password}" for c in found]
        return cls([*(s for c in found for s in c.secrets), *pairs, *others])

    def text(self, value: str) -> str:
        """The text without secrets."""
        for pattern in self._patterns:
            value = pattern.sub(MASK, value)
        return value

    def data(self, value: bytes) -> bytes:
        """The bytes without secrets."""
        for pattern in self._bytes_patterns:
            value = pattern.sub(MASK.encode(), value)
        return value


def _pattern(form: str) -> str:
    """Match a form anywhere, or a short one as a word; an end that is no letter or digit needs no border."""
    escaped = re.escape(form)
    if len(form) >= SHORT:
        return escaped
    before = f"(?<!{WORD_CHARACTER})" if re.match(WORD_CHARACTER, form[0]) else ""
    after = f"(?!{WORD_CHARACTER})" if re.match(WORD_CHARACTER, form[-1]) else ""
    return f"{before}{escaped}{after}"


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
