"""A stand-in for Discord on loopback: it holds messages to the documented limits, and fails as the test says."""

import http.server
import json
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qs, urlsplit

PATH, MOVED_PATH = "/api/webhooks/1/hunter2", "/moved"
BURST, BURST_SECONDS = 5, 2.0  # what Discord takes of one webhook
MESSAGE = {"content": 2000}
EMBED = {"title": 256, "description": 4096}
FIELD = {"name": 256, "value": 1024}
MOST_EMBEDS, MOST_FIELDS, MOST_IN_ALL = 10, 25, 6000
UNKNOWN: dict[str, Any] = {"message": "Unknown Webhook", "code": 10015}
TIMEOUTS = (5.0, 0.2)  # for a sender: what is silent answers never


class Trouble(Enum):
    """What can go wrong with one request. Discord takes no message then."""

    NONE = auto()
    TOO_MANY = auto()
    BROKEN = auto()
    SILENT = auto()
    CUT = auto()


class DiscordServer:
    """Serves one webhook until closed; ``messages`` are those that it took, in their order."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        trouble: Callable[[], Trouble] = lambda: Trouble.NONE,
        burst: int = BURST,
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.queries: list[dict[str, list[str]]] = []
        self._trouble = trouble
        self._clock = clock
        self._burst = burst
        self._taken_at: deque[float] = deque()
        self._goes_on = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def close(self) -> None:
        """Stop serving."""
        self._goes_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        discord = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Tell about the webhook, which takes no message."""
                is_there = urlsplit(self.path).path == PATH
                self._send(*((200, {}, {"id": "1", "channel_id": "2"}) if is_there else (404, {}, UNKNOWN)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                trouble = discord._trouble()
                if trouble is Trouble.SILENT:
                    discord._goes_on.wait(60)
                if trouble in (Trouble.SILENT, Trouble.CUT):
                    self.close_connection = True
                    return
                status, headers, said = discord._answer(self.path, body, trouble)
                discord.statuses.append(status)
                self._send(status, headers, said)

            def _send(self, status: int, headers: dict[str, str], said: dict[str, Any]) -> None:
                content = json.dumps(said).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        return Handler

    def _answer(self, path: str, body: bytes, trouble: Trouble) -> tuple[int, dict[str, str], dict[str, Any]]:
        url = urlsplit(path)
        if url.path == MOVED_PATH:
            return 302, {"Location": self.url}, {}
        if url.path != PATH:
            return 404, {}, UNKNOWN
        if trouble is Trouble.BROKEN:
            return 500, {}, {"message": "Internal Server Error"}
        left, reset_seconds = self._limit()
        if trouble is Trouble.TOO_MANY or left == 0:
            seconds = reset_seconds or 1.5
            asked = {"Retry-After": str(round(seconds)), "X-RateLimit-Reset-After": str(seconds)}
            return 429, asked, {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
        message = json.loads(body)
        if problems := problems_of(message):
            return 400, {}, {"message": "Invalid Form Body", "code": 50035, "errors": problems}
        self.messages.append(message)
        self.queries.append(parse_qs(url.query))
        self._taken_at.append(self._clock())
        left, reset_seconds = self._limit()
        headers = {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset-After": str(reset_seconds)}
        return 200, headers, {"id": str(len(self.messages))}

    def _limit(self) -> tuple[int, float]:
        """How many messages it takes now, and in how many seconds as many as ever."""
        now = self._clock()
        while self._taken_at and self._taken_at[0] <= now - BURST_SECONDS:
            self._taken_at.popleft()
        reset_seconds = self._taken_at[-1] + BURST_SECONDS - now if self._taken_at else 0.0
        return self._burst - len(self._taken_at), reset_seconds


def problems_of(message: dict[str, Any]) -> list[str]:
    """What Discord would not take of a message."""
    embeds = message.get("embeds", [])
    problems = _too_long(message, MESSAGE)
    if len(embeds) > MOST_EMBEDS or not (embeds or message.get("content")):
        problems.append("no content, or too many embeds")
    in_all = 0
    for embed in embeds:
        fields = embed.get("fields", [])
        problems += _too_long(embed, EMBED)
        problems += [problem for field in fields for problem in _too_long(field, FIELD)]
        problems += [f"empty: {field}" for field in fields if not (field["name"].strip() and field["value"].strip())]
        problems += ["too many fields"] if len(fields) > MOST_FIELDS else []
        texts = [embed.get("title", ""), embed.get("description", ""), embed.get("footer", {}).get("text", "")]
        in_all += sum(map(_size, texts)) + sum(_size(field["name"]) + _size(field["value"]) for field in fields)
    return problems + (["too long in all"] if in_all > MOST_IN_ALL else [])


def _too_long(part: dict[str, Any], limits: dict[str, int]) -> list[str]:
    return [f"{name} is too long" for name, limit in limits.items() if _size(part.get(name, "")) > limit]


def _size(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
