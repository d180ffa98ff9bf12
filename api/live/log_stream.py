"""The answer to who follows a log: plain text, or server-sent events that can be taken up where they broke off.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from flask import Response, request

from api.http.errors import FieldError, InvalidRequest
from api.live.following import Begun, Ended, Follower, Part, Position

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

EVENT_STREAM = "text/event-stream"
PLAIN_TEXT = "text/plain"
RECONNECT = b"retry: 1000\n\n"  # milliseconds
KEEPALIVE = b":\n\n"
HAS_GONE = "waitress.client_disconnected"
KEEPALIVE_SECONDS = 15.0  # shorter than proxies wait for
LINE_END = re.compile(rb"\r\n|\r|\n")  # as the receiver sees them

News = Part | Begun | Ended | None


def log_stream(follower: Follower, place: Position, *, is_one_attempt: bool, as_events: bool) -> Response:
    """The answer, which ends when the log does; the follower is closed with it."""
    news = follower.news(place, is_one_attempt=is_one_attempt)
    body = _while_heard(events(news) if as_events else texts(news), request.environ.get(HAS_GONE, _never))
    response = AtOnce(body, content_type=f"{EVENT_STREAM if as_events else PLAIN_TEXT}; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold back what is to be seen at once
    response.call_on_close(follower.close)
    return response


class AtOnce(Response):
    """An answer whose head is sent at once: the first line of the log may come much later."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, as WSGI has it."""
        body, status, headers = self.get_wsgi_response(environ)
        start_response(status, headers)(b"")
        return body


def texts(news: Iterable[News]) -> Iterator[bytes]:
    """The log itself; nothing, which is not sent, now and then."""
    return (each.data if isinstance(each, Part) else b"" for each in news)


def events(news: Iterable[News]) -> Iterator[bytes]:
    """The log as events, and a comment when there was none for a while."""
    yield RECONNECT
    said_at = time.monotonic()
    for each in news:
        text = event(each)
        if not text and time.monotonic() - said_at >= KEEPALIVE_SECONDS:
            text = KEEPALIVE
        if text:
            said_at = time.monotonic()
        yield text


def event(news: News) -> bytes:
    """One event: lines of the log, the next attempt, or the end."""
    match news:
        case Part():
            lines = LINE_END.split(news.data.removesuffix(b"\n"))
            data = b"".join(b"data: %b\n" % line for line in lines)
            return b"id: %b\n%b\n" % (event_id(news.next).encode(), data)
        case Begun():
            return f"id: {event_id(news.next)}\nevent: attempt\ndata: {news.next.attempt}\n\n".encode()
        case Ended():
            said = {"state": news.job.state, "attempts": len(news.job.attempts)}
            return f"event: end\ndata: {json.dumps(said)}\n\n".encode()
        case None:
            return b""


def event_id(place: Position) -> str:
    """The offset at which to go on; with the attempt before it, where that is not the first."""
    return f"{place.offset}" if place.attempt == 1 else f"{place.attempt}:{place.offset}"


def place_of(event_id: str, *, attempt: int | None) -> Position:
    """Where to go on behind an event; an id without an attempt is of the one that was asked for, or the first.

    InvalidRequest for an id of another attempt than the one that was asked for.
    """
    number, _, offset = event_id.rpartition(":")
    if attempt and number and int(number) != attempt:
        message = f"is of attempt {int(number)}, and attempt={attempt} is asked for; leave one of them out"
        raise InvalidRequest([FieldError("header", "/Last-Event-ID", f"Last-Event-ID {message}", "ANOTHER_ATTEMPT")])
    return Position(int(number or attempt or 1), int(offset))


def _never() -> bool:
    """What a test's client says."""
    return False


def _while_heard(body: Iterable[bytes], has_gone: Callable[[], bool]) -> Iterator[bytes]:
    """Stop when the client has gone, which a write alone would tell only when there is something to write."""
    for text in body:
        if not text and has_gone():
            return
        yield text
