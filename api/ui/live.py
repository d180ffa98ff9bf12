"""Tells a page in a browser when it is to look again: ``GET /ui/live?of=jobs&of=job:<id>``, as server-sent events.

live.js listens, and asks every few seconds where it cannot.
"""

import re

from flask import Blueprint, Response, request

from api.access.authorisation import current_caller, require, team_seen
from api.http.errors import FieldError, InvalidRequest
from api.live.log_stream import EVENT_STREAM, HAS_GONE, AtOnce, never, while_heard
from api.live.signs import Watched
from api.services import services
from api.ui.asking import ask
from api.views.jobs.job import get_job
from shared.access.roles import Right
from shared.jobs.signs import Topic

TOPICS = frozenset({*Topic, "workers", "alerts"})
OF_JOB = re.compile(r"job:([0-9a-f-]{36})")
MOST_TOPICS = 10


def register(blueprint: Blueprint) -> None:
    """Add the stream."""

    @blueprint.get("/live")
    def live() -> Response:
        require(Right.READ)
        watched = [Watched(each, team_seen()) for each in _topics()]
        here = services()
        tab = here.tabs.open(watched, caller=current_caller().name, is_shut_out=here.watch(request))
        body = while_heard(tab.events(), request.environ.get(HAS_GONE, never))
        response = AtOnce(body, content_type=f"{EVENT_STREAM}; charset=utf-8")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # or nginx would keep what must be seen at once
        response.call_on_close(tab.close)
        return response


def _topics() -> list[str]:
    """Return the topics asked for, of which the caller may know."""
    topics = list(dict.fromkeys(request.args.getlist("of")))[:MOST_TOPICS]
    for each in topics:
        if found := OF_JOB.fullmatch(each):
            ask(get_job, path={"job_id": found[1]})  # raises what a page about it would
        elif each not in TOPICS:
            raise InvalidRequest([FieldError("query", "/of", f"of: there is no topic {each!r}", "UNKNOWN_TOPIC")])
    if not topics:
        raise InvalidRequest([FieldError("query", "/of", "of: say what the page shows, as in of=jobs", "MISSING")])
    return topics
