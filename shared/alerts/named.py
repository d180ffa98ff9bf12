"""Parses the channels that operators name (ALERT_WEBHOOKS). Requests use these names and never contain an address."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from shared.alerts.kinds import by_word

NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})=([A-Za-z0-9_-]+):(\S+)")


@dataclass(frozen=True)
class NamedChannel:
    """A name, the word for its kind, and where its alerts go."""

    name: str
    word: str
    address: SecretStr


def parse_named_channels(value: Any) -> Any:
    """Parse the setting; the ValueError repeats nothing of it, because the addresses are secret."""
    if not isinstance(value, str):
        return value
    found = tuple(_channel(each.strip()) for each in value.split(",") if each.strip())
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise ValueError("gives one name to two webhooks")
    return found


def _channel(text: str) -> NamedChannel:
    parts = NAMED.fullmatch(text)
    kind = by_word().get(parts[2]) if parts else None
    if parts is None or kind is None or not kind.is_address(parts[3]):
        forms = " or ".join(f"name={word}:{kind.example}" for word, kind in by_word().items())
        raise ValueError(f"must be {forms}, comma separated (a comma in an address is %2C)")
    return NamedChannel(parts[1], parts[2], SecretStr(parts[3]))
