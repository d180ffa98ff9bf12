"""Sends alerts to Discord: one embed per alert, within Discord's limits, that mentions nobody.

Its content comes from users and trainings, so it is redacted, and shown as plain text.
"""

import json
from collections.abc import Mapping
from typing import Any, Self, cast
from urllib.parse import urlsplit

from shared.alerts.channels.discord import Discord as DiscordSettings
from shared.alerts.destinations import Destination
from shared.alerts.model import AlertEvent, Trial
from shared.links import Links
from shared.secrets.redactor import Redactor
from worker.alerts.content import Content
from worker.alerts.discord.text import code_block, plain
from worker.alerts.posting import TRY, WRONG_ADDRESS, Endpoint, unreachable
from worker.alerts.seam import Answer, News
from worker.alerts.text import size
from worker.findings.finding import Finding, failure, ok, warning
from worker.findings.network import ask

DESCRIPTION, VALUE, EMBED = 4096, 1024, 6000  # Discord's limits, in characters
LOG_LINES = 15
OWN_HOSTS = ("discord.com", "discordapp.com")
HEADERS = {"User-Agent": "DiscordBot (automated-training, 1)"}  # Discord asks for this form, and may block others
COLOURS = {
    AlertEvent.STARTED: 0x3498DB,
    AlertEvent.RETRYING: 0xF1C40F,
    AlertEvent.SUCCEEDED: 0x2ECC71,
    AlertEvent.FAILED: 0xE74C3C,
    AlertEvent.CANCELLED: 0x95A5A6,
    AlertEvent.ADOPTED: 0x9B59B6,
    AlertEvent.CHAMPION_CHANGED: 0xF39C12,
    AlertEvent.APPROVAL_WANTED: 0xE91E63,
    AlertEvent.TRIGGER_PAUSED: 0x992D22,
}


class Discord:
    """A Discord webhook."""

    def __init__(self, endpoint: Endpoint, *, links: Links, redactor: Redactor) -> None:
        self._endpoint = endpoint
        self._links = links
        self._redactor = redactor

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Create the channel; only the default channel can have a thread."""
        thread_id = cast(DiscordSettings, destination.settings).discord_thread_id if destination.is_default else ""
        endpoint = cls.endpoint(destination.address, thread_id)
        return cls(endpoint, links=links, redactor=redactor)

    @staticmethod
    def endpoint(url: str, thread_id: str) -> Endpoint:
        """Return where to post, asking Discord to answer only once the message is really there."""
        return Endpoint(_versioned(url), {"wait": "true", **({"thread_id": thread_id} if thread_id else {})})

    def send(self, news: News) -> Answer:
        """Post the alert."""
        return self._endpoint.post(json.dumps(self.message(news)).encode(), HEADERS)

    def send_trial(self, trial: Trial) -> Answer:
        """Post a test message."""
        embed = {
            "title": f"Test of the alert channel {trial.channel}",
            "description": "It works: alerts about retraining jobs come here.",
            "timestamp": trial.at.isoformat(),
        }
        message = {"embeds": [embed], "allowed_mentions": {"parse": []}}
        return self._endpoint.post(json.dumps(message).encode(), HEADERS)

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Ask Discord whether the webhook exists, which posts nothing."""
        subject, setting = f"alerts to {destination.name}", destination.variable
        reply = ask("GET", cls.endpoint(destination.address, "").url, headers=HEADERS)
        if reply.status is None:
            return failure(subject, f"Discord does not answer: {reply.said}", unreachable(setting))
        if reply.status < 300:
            return ok(subject, f"Discord knows the webhook. {TRY}")
        seen = f"Discord answers HTTP {reply.status}"
        if reply.status in WRONG_ADDRESS:
            advice = (
                f"The webhook was deleted, or its address is wrong: make one in the channel's settings, for {setting}."
            )
            return failure(subject, f"{seen}: it knows no such webhook", advice)
        return warning(
            subject, seen, "Discord has problems or limits our requests: alerts wait for it. Run this again later."
        )

    def message(self, news: News) -> dict[str, Any]:
        """Return the message's JSON."""
        content = Content(news, links=self._links, redactor=self._redactor, shown=plain)
        fields = [*content.fields(), ("Links", _shown_links(content.pages()))]
        embed: dict[str, Any] = {
            "title": content.title,
            "color": COLOURS[news.alert.event],
            "fields": [{"name": what, "value": value, "inline": True} for what, value in fields if value],
            "footer": {"text": content.origin},
            "timestamp": news.alert.at.isoformat(),
        }
        used = size(embed["title"]) + size(embed["footer"]["text"])
        used += sum(size(each["name"]) + size(each["value"]) for each in embed["fields"])
        if description := _description(content, min(DESCRIPTION, EMBED - used)):
            embed["description"] = description
        return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _description(content: Content, room: int) -> str:
    told = "\n".join(f"**{label}** {text}" if label else text for label, text in content.told())
    block = code_block(content.log_lines(LOG_LINES), room - size(told) - 1)
    return f"{told}\n{block}" if block else told


def _shown_links(pages: Mapping[str, str]) -> str:
    """Return the links as markup, because Discord refuses a whole message if its link fields have an odd address."""
    return shown_within([f"[{name}]({url})" for name, url in pages.items()], VALUE)


def _versioned(url: str) -> str:
    """Return the address with an explicit version of the API.

    An address copied from Discord has none, which means one so old that its Retry-After is in milliseconds
    (discord/discord-api-docs issue 2360).
    """
    host = urlsplit(url).hostname or ""
    is_discords = host.removeprefix("ptb.").removeprefix("canary.") in OWN_HOSTS
    return url.replace("/api/webhooks/", "/api/v10/webhooks/", 1) if is_discords else url


def shown_within(links: list[str], limit: int) -> str:
    """Join as many links as fit: half a link is useless."""
    while size(" · ".join(links)) > limit:
        links = links[:-1]
    return " · ".join(links)
