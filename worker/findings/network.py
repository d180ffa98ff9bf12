"""Sends one HTTP request with a short timeout; failures are described briefly, without the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import requests

TIMEOUT_SECONDS = 5
MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Reply:
    """An answer; if there was none, ``status`` is None and ``said`` is the reason."""

    status: int | None
    said: str
    date: datetime | None = None


def ask(
    method: str,
    url: str,
    *,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """Send one request, and follow no redirect."""
    try:
        answer = requests.request(
            method, url, auth=auth, headers=headers, data=body, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
        return Reply(answer.status_code, answer.text[:MOST_CHARACTERS], _date(answer.headers.get("Date")))
    except requests.Timeout:
        return Reply(None, f"no answer within {TIMEOUT_SECONDS} s")
    except (requests.RequestException, ValueError) as error:
        return Reply(None, root_cause(error))


def root_cause(error: BaseException) -> str:
    """Return the innermost reason: the outer ones repeat the address, which may contain a secret."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text)


def _date(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value else None
    except ValueError:
        return None
