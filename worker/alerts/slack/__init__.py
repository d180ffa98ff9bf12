"""Sends alerts to Slack: one message of blocks, within Slack's limits, that mentions nobody.

Text of users and trainings is in plain text objects, where Slack looks for no markup, or in a code block.
"""

import json
from typing import Any, Self

from shared.alerts.destinations import Destination
from shared.alerts.model import Trial
from shared.links import Links
from shared.secrets.redactor import Redactor
from worker.alerts.content import Content
from worker.alerts.posting import TRY, WRONG_ADDRESS, Endpoint, unreachable
from worker.alerts.seam import Answer, News
from worker.alerts.text import LINE_CHARACTERS, cut, one_line, size
from worker.findings.finding import Finding, failure, ok, warning
from worker.findings.network import ask

# Slack's limits, in characters: https://docs.slack.dev/reference/block-kit/blocks
HEADER, SECTION, FIELD, FIELDS = 150, 3000, 2000, 10
LOG_LINES = 15
FENCE = "```\n{}\n```"
NO_TEXT = 400  # an existing webhook's answer to a body without a message
HEADERS = {"Content-Type": "application/json"}


class Slack:
    """An incoming webhook of Slack."""

    def __init__(self, endpoint: Endpoint, *, links: Links, redactor: Redactor) -> None:
        self._endpoint = endpoint
        self._links = links
        self._redactor = redactor

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Create the channel."""
        return cls(Endpoint(destination.address, {}), links=links, redactor=redactor)

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Post a body without a message: an existing webhook refuses it, and shows nothing."""
        subject, setting = f"alerts to {destination.name}", destination.variable
        reply = ask("POST", destination.address, headers=HEADERS, body=b"{}")
        if reply.status is None:
            return failure(subject, f"Slack does not answer: {reply.said}", unreachable(setting))
        if reply.status == NO_TEXT:
            return ok(subject, f"Slack knows the webhook. {TRY}")
        seen = f"Slack answers HTTP {reply.status}"
        if reply.status in WRONG_ADDRESS:
            advice = (
                f"Its app was removed, or its address is wrong: add a webhook in the app's settings, for {setting}."
            )
            return failure(subject, f"{seen}: it knows no such webhook", advice)
        return warning(subject, seen, "Slack has problems or limits our requests: alerts wait. Run this again later.")

    def send(self, news: News) -> Answer:
        """Post the alert."""
        return self._post(self.message(news))

    def send_trial(self, trial: Trial) -> Answer:
        """Post a test message."""
        text = f"Test of the alert channel {trial.channel}. It works: alerts about retraining jobs come here."
        return self._post({"text": escaped(text), "blocks": [_section(_plain(text, SECTION))]})

    def message(self, news: News) -> dict[str, Any]:
        """Return the message's JSON; ``text`` is what a notification shows."""
        content = Content(news, links=self._links, redactor=self._redactor, shown=one_line)
        told = "\n".join(f"{label} {text}" if label else text for label, text in content.told())
        lines = content.log_lines(LOG_LINES)
        pages = " · ".join(f"<{escaped(url)}|{name}>" for name, url in content.pages().items())
        parts = [
            {"type": "header", "text": _plain(content.title, HEADER)},
            *([_section(_plain(told, SECTION))] if told else []),
            *([_section(_markup(_code(lines)))] if lines else []),
            *_sections_of_fields(content),
            *([_section(_markup(pages))] if pages and size(pages) <= SECTION else []),
            {"type": "context", "elements": [_plain(content.origin, FIELD)]},
        ]
        return {"text": escaped(cut(content.title, HEADER)), "blocks": parts}

    def _post(self, message: dict[str, Any]) -> Answer:
        return self._endpoint.post(json.dumps(message).encode(), HEADERS)


def escaped(text: str) -> str:
    """Escape what begins a mention or a link, as Slack requires."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _sections_of_fields(content: Content) -> list[dict[str, Any]]:
    """Put name and value side by side: Slack shows fields in two columns."""
    cells = [cell for name, value in content.fields() if value for cell in (_markup(f"*{name}*"), _plain(value, FIELD))]
    return [{"type": "section", "fields": cells[at : at + FIELDS]} for at in range(0, len(cells), FIELDS)]


def _section(text: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": text}


def _plain(text: str, limit: int) -> dict[str, Any]:
    """Return as much of the text as fits when escaped."""
    shown = text
    while size(escaped(shown)) > limit:  # the text is cut, never an escape
        shown = cut(shown, size(shown) - max(1, (size(escaped(shown)) - limit) // 5))
    return {"type": "plain_text", "text": escaped(shown), "emoji": False}


def _markup(text: str) -> dict[str, Any]:
    """Return our own markup; ``verbatim`` keeps Slack from turning words into links and mentions."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _code(lines: list[str]) -> str:
    """Return as many of the last lines as fit, in a block that they cannot end."""
    room, kept = SECTION - len(FENCE), list[str]()
    for line in reversed(lines):
        shown = escaped(cut(line, LINE_CHARACTERS).replace("`", "`\u200b"))
        room -= size(shown) + 1
        if room < 0:
            break
        kept.insert(0, shown)
    return FENCE.format("\n".join(kept))
