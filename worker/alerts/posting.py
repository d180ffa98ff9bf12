"""Posts alerts over HTTP, and decides by the answer what happens to them. The address is in no log or error."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from worker.alerts.seam import Answer, Verdict

CONNECT_SECONDS, READ_SECONDS = 5, 10
MOST_ANSWER_BYTES = 16384
HEADERS = {"Content-Type": "application/json", "User-Agent": "automated-training"}
WRONG_ADDRESS = (401, 403, 404, 410)
TRY = "`retrain alerts test` sends a message."


@dataclass(frozen=True)
class Endpoint:
    """An address to post to. ``timeout_seconds`` applies to the connection, and to each part of the answer."""

    url: str
    query: Mapping[str, str]
    timeout_seconds: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post JSON once, and judge the answer. A receiver that does not answer in time may still have got it."""
        try:
            with requests.post(
                self.url,
                params=self.query,
                data=body,
                headers={**HEADERS, **headers},
                timeout=self.timeout_seconds,
                allow_redirects=False,
                stream=True,  # only the beginning of an endless answer is read
            ) as response:
                said = next(response.iter_content(MOST_ANSWER_BYTES), b"")
                return judge(response.status_code, response.headers, said)
        except requests.RequestException as error:  # its text contains the address
            return Answer(Verdict.LATER, type(error).__name__)


def unreachable(setting: str) -> str:
    """Return the doctor's advice if nothing answers."""
    return (
        f"Check {setting}, and that this host can reach it (firewall; proxy: https_proxy). Alerts wait for up to a day."
    )


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return what an answer means. Discord's limits are in its headers, and in the body of a refusal for too many."""
    said = _parse(body)
    if status < 300:
        return Answer(Verdict.SENT, pause_seconds=_until_reset(headers))
    cause = f"HTTP {status}, code {said['code']}" if isinstance(said.get("code"), int) else f"HTTP {status}"
    if status == 429:
        asked = [_seconds(headers.get("Retry-After")), _seconds(said.get("retry_after")), _until_reset(headers)]
        return Answer(Verdict.LATER, cause, max((each for each in asked if each is not None), default=None))
    if status >= 500:
        return Answer(Verdict.LATER, cause, _seconds(headers.get("Retry-After")))
    if status < 400:  # kept until the operator sets the new address: to follow would take the alert anywhere
        return Answer(Verdict.LATER, f"{cause}: the receiver has moved; set its new address")
    return Answer(Verdict.CLOSED if status in WRONG_ADDRESS else Verdict.REFUSED, cause)


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until Discord accepts another message, if the current quota is used up."""
    is_used_up = headers.get("X-RateLimit-Remaining") == "0"
    return _seconds(headers.get("X-RateLimit-Reset-After")) if is_used_up else None


def _seconds(value: object) -> float | None:
    try:
        seconds = float(str(value))
    except ValueError:  # missing, or a date: then our own backoff applies
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
