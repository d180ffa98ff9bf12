"""Limits how many requests a second a caller sends, and says in each answer how many are left.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

import math
from typing import cast

from flask import Flask, Response, g, request

from api.access.authorisation import current_caller
from api.access.buckets import Buckets, Taken, place_of
from api.http.behind_proxy import find_address
from api.http.errors import TooManyRequests
from shared.access.callers import CallerKind
from shared.settings import Settings

POLICY = "caller"  # the name of the quota in the headers


def register(app: Flask, settings: Settings) -> None:
    """Count each request. Call it after access was registered: who sends a request is known by then."""
    rate = settings.caller_requests_per_second
    if not rate:
        return
    burst = math.ceil(rate * settings.caller_burst_seconds)
    buckets = Buckets(rate, burst)
    policy = f'"{POLICY}";q={burst};w={settings.caller_burst_seconds}'

    @app.before_request
    def take() -> None:
        name = counted_as()
        if name is None:
            return
        g.quota = buckets.take(name)
        if not g.quota.is_let:
            raise TooManyRequests(
                f"You have sent {burst} requests in a short time, and may send {rate:g} a second from now on "
                f"(CALLER_REQUESTS_PER_SECOND). Ask again after {g.quota.wait_seconds} s. To wait for a job, ask with "
                "?wait=60 instead of asking often.",
                after_seconds=g.quota.wait_seconds,
            )

    @app.after_request
    def tell(response: Response) -> Response:
        if quota := cast(Taken | None, g.get("quota")):
            response.headers["RateLimit-Policy"] = policy
            response.headers["RateLimit"] = f'"{POLICY}";r={quota.left};t={quota.full_after_seconds}'
        return response


def counted_as() -> str | None:
    """Return whose bucket a request takes from: the caller's by name or, if nobody is shown, the address's.

    Programs on this machine have none: without tokens they are the operator's own, and probes come from here.
    """
    caller = current_caller()
    if caller.kind is CallerKind.MACHINE:
        return None
    if caller.kind is not CallerKind.NOBODY:
        return caller.name
    found = find_address(request.remote_addr or "")
    return None if found is None or found.is_loopback else f"from {place_of(request.remote_addr)}"
