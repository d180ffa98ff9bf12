"""A receiver of server-sent events, as the HTML standard describes it: browsers have one, Python does not."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import requests

READ_SECONDS = 30  # longer than a stream is silent


@dataclass(frozen=True)
class Event:
    """One event, with the id that was the last when it came."""

    id: str
    name: str
    data: str


def read_events(lines: Iterable[bytes], *, last_event_id: str = "") -> Iterator[Event]:
    """Give the events in these lines (without their ends); one that broke off is dropped."""
    name, data = "", list[str]()
    for line in lines:
        field, _, value = line.decode().partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Event(last_event_id, name or "message", "\n".join(data))
            name, data = "", []
        elif field == "id":
            last_event_id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give the whole lines of what arrives in pieces."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def follow_log(url: str, *, seconds: float) -> str:
    """All that a follower reads of a log until its end; where the stream breaks off, it is taken up again."""
    text, last, is_over = "", "", False
    deadline = time.monotonic() + seconds
    while not is_over:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=READ_SECONDS) as answer:
                answer.raise_for_status()
                for event in read_events(lines_of(answer.iter_content(None)), last_event_id=last):
                    is_over, last = event.name == "end", event.id
                    text += f"{event.data}\n" if event.name == "message" else ""
                    assert time.monotonic() < deadline, f"followed up to {last}"
        except requests.RequestException:  # it broke off, is refused, or there is no room
            assert time.monotonic() < deadline, f"followed up to {last}"
            time.sleep(0.05)
    return text
