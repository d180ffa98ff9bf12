"""The channels that the settings name, put together; what in the settings is secret shows in none of them."""

from urllib.parse import unquote

from pydantic import SecretStr

from shared.alerts import Channel
from shared.links import Links
from shared.settings import Settings
from shared.vault import Redactor
from worker.alerts import AlertChannel
from worker.discord import Discord
from worker.posting import Endpoint
from worker.webhook import Webhook


def channels_of(settings: Settings) -> dict[str, AlertChannel]:
    """Make the channels that are set."""
    links, redactor = Links.of(settings), redactor_of(settings)
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


def redactor_of(settings: Settings) -> Redactor:
    """Of every secret, whole, and of the part that is one where it is an address."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    values += [*settings.api_tokens, *(each.url for each in settings.alert_webhooks)]
    secrets = [each.get_secret_value() for each in values if isinstance(each, SecretStr)]
    passwords = [_password(each) for each in (*secrets, settings.mlflow_tracking_uri)]
    on_discord = [settings.discord_webhook_url, *(each.url for each in settings.alert_webhooks if each.is_discord)]
    tokens = [each.get_secret_value().partition("?")[0].rpartition("/")[2] for each in on_discord]
    return Redactor([*secrets, *passwords, *map(unquote, passwords), *tokens])


def _password(address: str) -> str:
    """The password in an address. Not by urlsplit: it refuses some that a database's driver takes."""
    return address.partition("://")[2].rpartition("@")[0].partition(":")[2]
