"""The channels that the settings name, put together; what in the settings is secret shows in none of them."""

from pydantic import SecretStr

from shared.alerts.model import Channel
from shared.links import Links
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from worker.alerts.discord.channel import Discord
from worker.alerts.posting import Endpoint
from worker.alerts.sender import AlertChannel
from worker.alerts.webhook.channel import Webhook


def channels_of(settings: Settings, redactor: Redactor) -> dict[str, AlertChannel]:
    """Make the channels that are set."""
    links = Links.of(settings)
    secret = settings.alert_webhook_secret.get_secret_value()

    def discord(url: SecretStr, thread_id: str = "") -> AlertChannel:
        endpoint = Discord.endpoint(url.get_secret_value(), thread_id)
        return Discord(endpoint, links=links, redactor=redactor)

    def webhook(url: SecretStr) -> AlertChannel:
        return Webhook(Endpoint(url.get_secret_value(), {}), secret=secret, links=links, redactor=redactor)

    channels = {
        each.name: discord(each.url) if each.is_discord else webhook(each.url) for each in settings.alert_webhooks
    }
    if settings.discord_webhook_url:
        channels[Channel.DISCORD] = discord(settings.discord_webhook_url, settings.discord_thread_id)
    if settings.alert_webhook_url:
        channels[Channel.WEBHOOK] = webhook(settings.alert_webhook_url)
    return channels
