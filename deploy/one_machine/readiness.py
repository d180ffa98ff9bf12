"""Whether the services of a stack answer yet. What stays as long as the stack asks by this, so it loads little."""

import http.client
import json
import time
import urllib.request
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

from shared.own_addresses import is_loopback

PATIENCE_SECONDS = 20
EVERY_SECONDS = 0.2
ANSWER_SECONDS = 5


def announce_when_ready(urls: Mapping[str, str], welcome: str) -> None:
    """Print the welcome once all answers, and until then, now and again, what does not."""
    patience = time.monotonic() + PATIENCE_SECONDS
    while absent := missing(urls):
        if time.monotonic() > patience:
            patience += PATIENCE_SECONDS
            print(f"\nStill waiting for {' and '.join(absent)}; its lines above may say why.\n", flush=True)
        time.sleep(EVERY_SECONDS)
    print(welcome, flush=True)


def missing(urls: Mapping[str, str]) -> list[str]:
    """Return what does not answer yet: the API with its store and Redis, a worker, or MLflow."""
    absent = [] if _answer(f"{urls['mlflow']}/health") is not None else [f"MLflow at {urls['mlflow']}"]
    ready = _answer(f"{urls['api']}/readyz")
    if ready is None:
        return [f"the API at {urls['api']}", *absent]
    return absent if json.loads(ready)["live_workers"] > 0 else ["a worker", *absent]


def _answer(url: str) -> bytes | None:
    """Return what is answered there; None if nothing is, or an error."""
    if not is_loopback(urlsplit(url).hostname):
        return _answer_elsewhere(url)
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(url, timeout=ANSWER_SECONDS) as answer:
            return cast(bytes, answer.read())
    except (OSError, http.client.HTTPException):
        return None


def _answer_elsewhere(url: str) -> bytes | None:
    """Return the same of somebody else's server, where this machine's proxies and certificates count."""
    import requests  # noqa: PLC0415 - 5 MB that few stacks need

    try:
        answer = requests.get(url, timeout=ANSWER_SECONDS)
    except requests.RequestException:
        return None
    return answer.content if answer.ok else None
