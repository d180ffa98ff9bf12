"""The webhooks of alerts. Discord's are asked whether they are there, which posts nothing; others are only reached."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from shared.alerts.model import Channel
from shared.settings import Settings
from worker.alerts.discord.channel import HEADERS, Discord
from worker.findings.finding import Finding, failure, ok, skipped, warning
from worker.findings.network import ask

AT_ONCE = 32
GONE = (401, 403, 404)
TEST = "`retrain alerts test` sends a message."


def check_webhooks(settings: Settings) -> Iterator[Finding]:
    """Look at every webhook that is set."""
    discord = {each.name: each.url for each in settings.alert_webhooks if each.is_discord}
    others = {each.name: each.url for each in settings.alert_webhooks if not each.is_discord}
    if settings.discord_webhook_url:
        discord[Channel.DISCORD] = settings.discord_webhook_url
    if settings.alert_webhook_url:
        others[Channel.WEBHOOK] = settings.alert_webhook_url
    if not discord and not others:
        yield skipped("alerts", "no webhook is set")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        looks = [pool.submit(_discord, name, _setting(name), url.get_secret_value()) for name, url in discord.items()]
        looks += [pool.submit(_other, name, _setting(name), url.get_secret_value()) for name, url in others.items()]
        yield from (each.result() for each in looks)


def _setting(name: str) -> str:
    own: dict[str, str] = {Channel.DISCORD: "DISCORD_WEBHOOK_URL", Channel.WEBHOOK: "ALERT_WEBHOOK_URL"}
    return own.get(name, "ALERT_WEBHOOKS")


def _discord(name: str, setting: str, url: str) -> Finding:
    subject = f"alerts to {name}"
    reply = ask("GET", Discord.endpoint(url, "").url, headers=HEADERS)
    if reply.status is None:
        return failure(subject, f"Discord does not answer: {reply.said}", _unreachable(setting))
    if reply.status < 300:
        return ok(subject, f"Discord knows the webhook. {TEST}")
    seen = f"Discord answers HTTP {reply.status}"
    if reply.status in GONE:
        advice = f"The webhook was deleted, or its address is wrong: make one in the channel's settings, for {setting}."
        return failure(subject, f"{seen}: it knows no such webhook", advice)
    return warning(
        subject, seen, "Discord has trouble of its own, or is asked too much: alerts wait for it. Look again."
    )


def _other(name: str, setting: str, url: str) -> Finding:
    """HEAD, which no receiver takes for an alert; what it answers to that means nothing."""
    reply = ask("HEAD", url)
    if reply.status is None:
        return failure(f"alerts to {name}", f"does not answer: {reply.said}", _unreachable(setting))
    return ok(f"alerts to {name}", f"answers. {TEST}")


def _unreachable(setting: str) -> str:
    return (
        f"Check {setting}, and that this host gets there (firewall; proxy: https_proxy). Alerts wait for up to a day."
    )
