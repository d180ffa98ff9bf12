"""A request as its sender sent it, and how values are taken from what a stranger wrote."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from werkzeug.datastructures import Headers

from shared.requests.texts import NOT_TEXT

LONGEST_FACT = 200  # characters


@dataclass(frozen=True)
class Sent:
    """What came, and when."""

    headers: Headers
    body: bytes
    at: datetime

    def header(self, name: str) -> str:
        """Return the header, or an empty text."""
        return self.headers.get(name) or ""

    @property
    def body_hash(self) -> str:
        """What stays the same when the same body is sent again."""
        return digest(self.body)


def digest(*parts: str | bytes) -> str:
    """Return a hash of the parts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "replace") if isinstance(part, str) else part
        whole.update(b"%d:" % len(data) + data)
    return whole.hexdigest()


def value_at(value: Any, *names: str) -> Any:
    """Return what stands below these names, or None."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text_at(value: Any, *names: str, longest: int = LONGEST_FACT) -> str:
    """Return the text there, fit to be shown, or an empty one."""
    found = value_at(value, *names)
    return NOT_TEXT.sub("", found[:longest]) if isinstance(found, str) else ""


def objects_at(value: Any, *names: str) -> list[dict[str, Any]]:
    """Return the objects in the list there."""
    found = value_at(value, *names)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
