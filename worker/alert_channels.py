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


def channels_of(settings: Settings) -> dict[Channel, AlertChannel]:
    """Make the channels that are set."""
    links, redactor = Links.of(settings), _redactor(settings)
    channels: dict[Channel, AlertChannel] = {}
    if url := settings.discord_webhook_url.get_secret_value():
        endpoint = Discord.endpoint(url, settings.discord_thread_id)
        channels[Channel.DISCORD] = Discord(endpoint, links=links, redactor=redactor)
    if url := settings.alert_webhook_url.get_secret_value():
        secret = settings.alert_webhook_secret.get_secret_value()
        channels[Channel.WEBHOOK] = Webhook(Endpoint(url, {}), secret=secret, links=links, redactor=redactor)
    return channels


def _redactor(settings: Settings) -> Redactor:
    """Of every secret, whole, and of the part that is one where it is an address."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    secrets = [each.get_secret_value() for each in (*values, *settings.api_tokens) if isinstance(each, SecretStr)]
    passwords = [_password(each) for each in secrets]
    webhook_token = settings.discord_webhook_url.get_secret_value().partition("?")[0].rpartition("/")[2]
    return Redactor([*secrets, *passwords, *map(unquote, passwords), webhook_token])


def _password(address: str) -> str:
    """The password in an address. Not by urlsplit: it refuses some that a database's driver takes."""
    return address.partition("://")[2].rpartition("@")[0].partition(":")[2]
