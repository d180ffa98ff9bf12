"""Answers clients that follow a log: plain text, or server-sent events, which can be resumed where they broke off.

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
KEEPALIVE_SECONDS = 15.0  # shorter than proxies' timeouts
LINE_END = re.compile(rb"\r\n|\r|\n")  # as the receiver understands them

News = Part | Begun | Ended | None


def log_stream(follower: Follower, place: Position, *, is_one_attempt: bool, as_events: bool) -> Response:
    """Return the answer, which ends when the log does; it also closes the follower."""
    news = follower.news(place, is_one_attempt=is_one_attempt)
    body = while_heard(events(news) if as_events else texts(news), request.environ.get(HAS_GONE, never))
    response = AtOnce(body, content_type=f"{EVENT_STREAM if as_events else PLAIN_TEXT}; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"  # or nginx would buffer what must be seen at once
    response.call_on_close(follower.close)
    return response


class AtOnce(Response):
    """An answer whose head is sent at once, because the first line of the log may come much later."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer as a WSGI app."""
        body, status, headers = self.get_wsgi_response(environ)
        start_response(status, headers)(b"")
        return body


def texts(news: Iterable[News]) -> Iterator[bytes]:
    """Yield the log itself and, now and then, empty data, which is not sent."""
    return (each.data if isinstance(each, Part) else b"" for each in news)


def events(news: Iterable[News]) -> Iterator[bytes]:
    """Yield the log as events, and a comment if there was none for a while."""
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
    """Return one event: lines of the log, the next attempt, or the end."""
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
    """Return the offset at which to resume, preceded by the attempt's number unless it is the first."""
    return f"{place.offset}" if place.attempt == 1 else f"{place.attempt}:{place.offset}"


def place_of(event_id: str, *, attempt: int | None) -> Position:
    """Return where to resume after an event; an id without an attempt means the one asked for, or the first.

    Raises InvalidRequest for the id of another attempt than the one asked for.
    """
    number, _, offset = event_id.rpartition(":")
    if attempt and number and int(number) != attempt:
        message = f"is of attempt {int(number)}, and attempt={attempt} is asked for; leave one of them out"
        raise InvalidRequest([FieldError("header", "/Last-Event-ID", f"Last-Event-ID {message}", "ANOTHER_ATTEMPT")])
    return Position(int(number or attempt or 1), int(offset))


def never() -> bool:
    """Answer for a test's client, which never disconnects."""
    return False


def while_heard(body: Iterable[bytes], has_gone: Callable[[], bool]) -> Iterator[bytes]:
    """Stop when the client has gone, which a write would show only once there is something to write."""
    for text in body:
        if not text and has_gone():
            return
        yield text
