"""The operator's named webhooks: requests for a retraining call them by their names, and never hold an address."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.alerts.model import Channel

NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,62})=(discord|json):(\S+)")
FORM = "must be name=discord:https://… or name=json:https://…, comma separated (a comma in an address is %2C)"


@dataclass(frozen=True)
class AlertWebhook:
    """An address, and whether it takes Discord's messages or JSON for programs."""

    name: str
    is_discord: bool
    url: SecretStr


def parse_alert_webhooks(value: Any) -> Any:
    """Take the setting apart; ValueError repeats nothing of it, for the addresses are secret."""
    if not isinstance(value, str):
        return value
    found = tuple(_webhook(each.strip()) for each in value.split(",") if each.strip())
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise ValueError("gives one name to two webhooks")
    if taken := sorted({*names} & {*Channel}):
        raise ValueError(f"must choose another name than {taken[0]}: the other webhook settings have it")
    return found


def _webhook(text: str) -> AlertWebhook:
    parts = NAMED.fullmatch(text)
    if parts is None or not is_web_address(parts[3]):
        raise ValueError(FORM)
    return AlertWebhook(parts[1], parts[2] == "discord", SecretStr(parts[3]))


def is_web_address(value: str) -> bool:
    """Whether something can be posted there."""
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)
