"""The log of a job: its page, and what its viewer (static/log.js) asks for while one scrolls, follows and searches."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request, stream_with_context

from api.live.log_stream import EVENT_STREAM, PLAIN_TEXT
from api.ui.asking import ask, ask_response, own_query
from api.ui.log_lines import last_error, lines_with, shown_lines
from api.ui.page import page
from api.ui.rendering import render
from api.views.jobs.job import get_job
from api.views.jobs.logs import MAX_LOG_BYTES, get_job_log

WITHOUT_SCRIPT_BYTES = 16 * 1024
LONGEST_LINE = 2000  # shown without being asked for; static/log.js has the same
SEARCH_SECONDS = 0.5  # for one answer; the viewer goes on asking from where it ended
SEARCHED_AT_ONCE = 2**20  # between two looks at the clock
MOST_FOUND = 5000
LONGEST_TEXT = 500
DOWNLOADED_AT_ONCE = 2**20


@dataclass(frozen=True)
class LogPart:
    """Part of one attempt's log."""

    data: bytes
    attempt: int  # 0 while there is none
    offset: int
    next_offset: int
    size: int

    @property
    def text(self) -> str:
        """What a person reads who has no script."""
        return shown_lines(self.data, longest=LONGEST_LINE)

    def whole_lines(self) -> bytes:
        """Return the data without a line that goes on behind it."""
        if self.next_offset >= self.size:
            return self.data
        return self.data[: self.data.rfind(b"\n") + 1] or self.data


def log_of(job: Mapping[str, Any]) -> LogPart:
    """Return the end of the log that the page's address names: of the attempt in it, or of the last one."""
    is_refresh = "X-Refresh" in request.headers  # by a script, which has a viewer
    asked = {"attempt": request.args.get("attempt") or None}
    return _read(job["id"], {**asked, "tail": 16 if is_refresh else WITHOUT_SCRIPT_BYTES})


@page("GET /jobs/<job_id>/log")
def log(job_id: str) -> str:
    """Show the log alone, as high as the window."""
    job = ask(get_job, path={"job_id": job_id})
    return render("log.html", job=job, log=log_of(job))


@page("GET /jobs/<job_id>/log/part")
def log_part(job_id: str) -> Response:
    """Answer part of it as it was written."""
    return ask_response(get_job_log, path={"job_id": job_id}, query=own_query())


@page("GET /jobs/<job_id>/log/stream")
def log_growth(job_id: str) -> Response:
    """Tell as events how far it is written, and of later attempts and the end, without the text itself.

    The viewer asks for the parts that it shows: following a log costs what one sees of it.
    """
    query = {**own_query(), "follow": True}
    after = query.pop("after", "")  # the last event that the viewer knows of; a browser that comes again says so itself
    header = {"Last-Event-ID": request.headers.get("Last-Event-ID") or after}
    response = ask_response(get_job_log, path={"job_id": job_id}, query=query, header=header)
    if response.mimetype == EVENT_STREAM:
        response.response = _without_text(response.iter_encoded())
    return response


@page("GET /jobs/<job_id>/log/download")
def log_download(job_id: str) -> Response:
    """Answer all of it, byte for byte, as a file."""
    first = _read(job_id, {**own_query(), "limit": DOWNLOADED_AT_ONCE})
    number = first.attempt or 1
    response = Response(stream_with_context(_rest(job_id, first)), content_type=f"{PLAIN_TEXT}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="job-{job_id[:8]}-attempt-{number}.log"'
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@page("GET /jobs/<job_id>/log/search")
def log_search(job_id: str) -> Response:
    """Answer where the lines with the text begin, and from where to go on looking."""
    text = request.args.get("text", "")[:LONGEST_TEXT]
    asked = {name: value for name, value in own_query().items() if name != "text"} | {"limit": SEARCHED_AT_ONCE}
    deadline, found = time.monotonic() + SEARCH_SECONDS, list[int]()
    while True:
        part = _read(job_id, asked)
        whole = part.whole_lines()
        found += lines_with(whole, text, begins_at=part.offset) if text else ()
        offset = part.offset + len(whole)
        if offset >= part.size or not whole or len(found) >= MOST_FOUND or time.monotonic() >= deadline:
            break
        asked |= {"attempt": part.attempt, "offset": offset}
    return jsonify(lines=found, next=offset)


@page("GET /jobs/<job_id>/log/error")
def log_error(job_id: str) -> Response:
    """Answer where the last line begins that looks like an error, among the last 8 MiB and 200,000 lines."""
    part = _read(job_id, {**own_query(), "tail": MAX_LOG_BYTES})
    return jsonify(line=last_error(part.data, begins_at=part.offset))


def _read(job_id: str, query: Mapping[str, Any]) -> LogPart:
    answer = ask_response(get_job_log, path={"job_id": job_id}, query=query)
    numbers = [int(answer.headers[f"X-Log-{name}"]) for name in ("Attempt", "Offset", "Next-Offset", "Size")]
    return LogPart(answer.get_data(), *numbers)


def _rest(job_id: str, part: LogPart) -> Iterator[bytes]:
    """Yield it up to the size that it had at first: a download ends, even of a log that goes on."""
    size = part.size
    while part.data:
        yield part.data
        if part.next_offset >= size:
            return
        query = {"attempt": part.attempt, "offset": part.next_offset, "limit": DOWNLOADED_AT_ONCE}
        part = _read(job_id, query)


def _without_text(events: Iterable[bytes]) -> Iterator[bytes]:
    for event in events:
        place, _, said = event.partition(b"\n")
        yield b"%b\ndata:\n\n" % place if place.startswith(b"id: ") and said.startswith(b"data:") else event
