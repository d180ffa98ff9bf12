"""Health checks of containers: whether a URL answers, and whether the time in a Prometheus metric is recent.

Loads only the standard library, because it runs every few seconds.
"""

import argparse
import sys
import time
import urllib.request

TIMEOUT_SECONDS = 8


def is_recent(metrics: str, name: str, *, within_seconds: float, now: float) -> bool:
    """Return whether the metric contains a time (Unix, in seconds) within the last seconds."""
    values = [line.split() for line in metrics.splitlines()]
    return any(words[0] == name and now - float(words[1]) <= within_seconds for words in values if len(words) == 2)


def main() -> int:
    """Exit with 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m deploy.healthy")
    parser.add_argument("url", help="what must answer with a status below 400")
    parser.add_argument("--recent", metavar="NAME", help="a metric there that contains a time")
    parser.add_argument("--seconds", type=float, default=90, help="how old that time may be")
    asked = parser.parse_args()
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # HTTP_PROXY is for what lies outside
    try:
        with directly.open(asked.url, timeout=TIMEOUT_SECONDS) as answer:
            said = answer.read().decode()
    except OSError as error:
        sys.stderr.write(f"{asked.url}: {error}\n")
        return 1
    if asked.recent and not is_recent(said, asked.recent, within_seconds=asked.seconds, now=time.time()):
        sys.stderr.write(f"{asked.recent} is older than {asked.seconds:g} s\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
