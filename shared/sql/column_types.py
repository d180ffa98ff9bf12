"""Column types that mean the same on every database, and accept whatever a program or a URL may contain."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, String, Text
from sqlalchemy.types import TypeDecorator

from shared.words import read_word

NOT_TEXT = re.compile("[\x00\ud800-\udfff]")  # characters that no database stores as text


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes, even on a database without them (SQLite)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store naive UTC in SQLite."""
        return value.astimezone(UTC).replace(tzinfo=None) if value and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Read every value as aware UTC."""
        if value is None or value.tzinfo is UTC:
            return value
        at: datetime = value
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def as_text(value: str) -> str:
    """Return the text with characters that no database stores replaced: NUL, and halves of surrogate pairs."""
    return NOT_TEXT.sub("\ufffd", value)


class CleanString(TypeDecorator[str]):
    """Text from outside: a program's last output, or an id from a URL, may contain anything."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored, also in comparisons."""
        return as_text(value) if value is not None else None


class CleanText(CleanString):
    """The same, without a maximum length."""

    impl = Text
    cache_ok = True  # SQLAlchemy does not inherit it


class Word(CleanString):
    """A member of one of our enums. One written by a later version reads as an unknown member, which keeps its text."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum], length: int) -> None:
        super().__init__(length)
        self.words = words
        self.length = length

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:
        """Read the word; one of another version is not a reason to fail."""
        return read_word(self.words, value) if value is not None else None


class Labels(TypeDecorator[tuple[str, ...]]):
    """Labels in one string, so that SQL can compare two lists; they contain no comma."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """Store them sorted."""
        return None if value is None else ",".join(sorted(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> tuple[str, ...]:
        """Read them."""
        return tuple(value.split(",")) if value else ()


def as_json(value: Any) -> Any:
    """Return the value as JSON can express it: NaN and infinity become their names, as in MLflow's own REST API."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(name): as_json(item) for name, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


class PlainJson(TypeDecorator[Any]):
    """JSON that every database and every reader accepts."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any | None:
        """Store NaN and infinity by name: a diverged training's loss is NaN."""
        return as_json(value)
