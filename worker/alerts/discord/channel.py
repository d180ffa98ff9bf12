"""Alerts as Discord shows them: one embed an alert, within Discord's limits, that mentions nobody.

Whatever stands in it comes from users and trainings, so it is redacted, and shown as plain text.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Self, cast
from urllib.parse import quote, urlsplit

from shared.alerts.channels.discord import Discord as DiscordSettings
from shared.alerts.destinations import Destination
from shared.alerts.model import AlertEvent, Trial
from shared.links import Links
from shared.requests.retrain_request import with_defaults
from shared.secrets.redactor import Redactor
from worker.alerts.advice import ADVICE
from worker.alerts.discord.text import code_block, last_lines, plain, printable, size
from worker.alerts.posting import TRY, WRONG_ADDRESS, Endpoint, unreachable
from worker.alerts.seam import Answer, News
from worker.findings.finding import Finding, failure, ok, warning
from worker.findings.network import ask

DESCRIPTION, VALUE, EMBED = 4096, 1024, 6000  # Discord's limits, in characters
NAME_CHARACTERS, TEXT_CHARACTERS, CAUSE_CHARACTERS = 200, 250, 1000
LOG_LINES = 15
METRICS_SHOWN = 6
SHA_CHARACTERS = 12
OWN_HOSTS = ("discord.com", "discordapp.com")
HEADERS = {"User-Agent": "DiscordBot (automated-training, 1)"}  # Discord asks for this form, and may block others
COLOURS = {
    AlertEvent.STARTED: 0x3498DB,
    AlertEvent.RETRYING: 0xF1C40F,
    AlertEvent.SUCCEEDED: 0x2ECC71,
    AlertEvent.FAILED: 0xE74C3C,
    AlertEvent.CANCELLED: 0x95A5A6,
    AlertEvent.ADOPTED: 0x9B59B6,
}
TITLES = {
    AlertEvent.STARTED: "training started",
    AlertEvent.RETRYING: "failed, and is tried again",
    AlertEvent.SUCCEEDED: "succeeded",
    AlertEvent.FAILED: "failed",
    AlertEvent.CANCELLED: "cancelled",
    AlertEvent.ADOPTED: "goes on under another worker",
}


class Discord:
    """A Discord webhook."""

    def __init__(self, endpoint: Endpoint, *, links: Links, redactor: Redactor) -> None:
        self._endpoint = endpoint
        self._links = links
        self._redactor = redactor

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Make the channel; a thread is of the default channel alone."""
        thread_id = cast(DiscordSettings, destination.settings).discord_thread_id if destination.is_default else ""
        endpoint = cls.endpoint(destination.address, thread_id)
        return cls(endpoint, links=links, redactor=redactor)

    @staticmethod
    def endpoint(url: str, thread_id: str) -> Endpoint:
        """Where to post, asking Discord to answer only when the message is really there."""
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
        """Ask Discord whether the webhook is there, which posts nothing."""
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
            subject, seen, "Discord has trouble of its own, or is asked too much: alerts wait for it. Look again."
        )

    def message(self, news: News) -> dict[str, Any]:
        """The message's JSON."""
        job, event = news.job, news.alert.event
        name = self._text(job.model_name or job.experiment_name, NAME_CHARACTERS)
        embed: dict[str, Any] = {
            "title": f"{name}: {TITLES[event]}",
            "color": COLOURS[event],
            "fields": [{"name": what, "value": value, "inline": True} for what, value in self._fields(news) if value],
            "footer": {"text": f"job {job.id}, attempt {news.alert.attempt}"},
            "timestamp": news.alert.at.isoformat(),
        }
        used = size(embed["title"]) + size(embed["footer"]["text"])
        used += sum(size(each["name"]) + size(each["value"]) for each in embed["fields"])
        if description := self._description(news, min(DESCRIPTION, EMBED - used)):
            embed["description"] = description
        return {"embeds": [embed], "allowed_mentions": {"parse": []}}

    def _text(self, value: object, limit: int = TEXT_CHARACTERS) -> str:
        return plain(self._redactor.text(printable(str(value))), limit)

    def _description(self, news: News, room: int) -> str:
        told = "\n".join(self._told(news))
        if news.alert.event is not AlertEvent.FAILED:
            return told
        lines = [self._redactor.text(line) for line in last_lines(news.output, LOG_LINES)]
        block = code_block(lines, room - size(told) - 1)
        return f"{told}\n{block}" if block else told

    def _told(self, news: News) -> Iterator[str]:
        match news.alert.event:
            case AlertEvent.RETRYING:
                yield from self._cause(news)
                yield f"The next attempt follows in {_duration(news.alert.retry_in_seconds or 0)}."
            case AlertEvent.FAILED:
                yield from self._cause(news)
                if news.reason and (advice := ADVICE.get(news.reason.code)):  # none for a later version's code
                    yield f"**What to do:** {advice}"
            case AlertEvent.SUCCEEDED:
                decision = _mapping(news, "decision")
                yield self._text(decision.get("reason") or "No decision about a champion was made.", CAUSE_CHARACTERS)
            case AlertEvent.CANCELLED if news.reason:
                yield self._text(news.reason.message, CAUSE_CHARACTERS)
            case AlertEvent.ADOPTED:
                yield "Its worker died; the training went on, and another worker watches over it now."

    def _cause(self, news: News) -> Iterator[str]:
        if news.reason:
            yield f"**{self._text(news.reason.code)}** {self._text(news.reason.message, CAUSE_CHARACTERS)}"

    def _fields(self, news: News) -> Iterator[tuple[str, str]]:
        """Names and values; an empty value is left out."""
        job, attempt = news.job, news.attempt
        yield "Experiment", self._text(job.experiment_name)
        yield "Model", self._model(news)
        yield "Commit", self._commit(news)
        yield "Host", self._text(attempt.host) if attempt else ""
        if attempt and attempt.ended_at:
            yield "Duration", _duration((attempt.ended_at - attempt.started_at).total_seconds())
        if news.alert.event is AlertEvent.SUCCEEDED:
            yield "Metrics", self._metrics(news)
        yield "Links", self._shown_links(news)

    def _model(self, news: News) -> str:
        versions = (news.job.result or {}).get("model_versions") or []
        if news.alert.event is AlertEvent.SUCCEEDED and versions:
            return f"{self._text(versions[-1]['name'])}, version {self._text(versions[-1]['version'], 20)}"
        return self._text(news.job.model_name or "")

    def _commit(self, news: News) -> str:
        ref, sha = self._text(with_defaults(news.job.request)["commit_hash"]), news.job.commit_sha
        if sha is None or ref == sha:
            return ref
        return f"{sha[:SHA_CHARACTERS]} ({ref})" if ref else sha[:SHA_CHARACTERS]

    def _metrics(self, news: News) -> str:
        """The metric that decided, with the champion's value; else the first few of the run."""
        decision = _mapping(news, "decision")
        if decision.get("metric"):
            values = (("", decision.get("challenger")), ("champion ", decision.get("champion")))
            shown = [f"{of}{self._number(value)}" for of, value in values if value is not None]
            return f"{self._text(decision['metric'], NAME_CHARACTERS)} {', '.join(shown)}".strip()
        first = sorted(_mapping(news, "metrics").items())[:METRICS_SHOWN]
        return "\n".join(f"{self._text(name, 100)} {self._number(value)}" for name, value in first)

    def _number(self, value: object) -> str:
        return f"{value:.6g}" if isinstance(value, int | float) else self._text(value, 50)

    def _shown_links(self, news: News) -> str:
        """As markup: Discord refuses a whole message for an address in its own fields that it does not like."""
        job, run_id = news.job, news.attempt.run_id if news.attempt else None
        page = self._links.job_page(job)
        pages = {"job": page, "log": f"{page}/logs" if page else None}
        pages["MLflow run"] = self._links.run(replace(job, run_id=run_id))
        shown = [f"[{name}]({quote(url, safe=':/?#&=%@,~')})" for name, url in pages.items() if url]
        return shown_within(shown, VALUE)


def _versioned(url: str) -> str:
    """The address under a version of the API.

    What people copy from Discord names none, and means one so old that its Retry-After is in milliseconds
    (discord/discord-api-docs issue 2360).
    """
    host = urlsplit(url).hostname or ""
    is_discords = host.removeprefix("ptb.").removeprefix("canary.") in OWN_HOSTS
    return url.replace("/api/webhooks/", "/api/v10/webhooks/", 1) if is_discords else url


def shown_within(links: list[str], limit: int) -> str:
    """As many of the links as fit: half a link is none."""
    while size(" · ".join(links)) > limit:
        links = links[:-1]
    return " · ".join(links)


def _mapping(news: News, name: str) -> Mapping[str, Any]:
    value = (news.job.result or {}).get(name)
    return value if isinstance(value, Mapping) else {}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
