"""Settings of Slack: an incoming webhook, which posts into the channel that it was created for."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from shared.alerts.channel_settings import ChannelSettings, web_address
from shared.secrets.addresses import secrets_of_webhook


class Slack(ChannelSettings):
    """Settings of the Slack channel."""

    delivered_by: ClassVar[str] = "worker.alerts.slack:Slack"
    switch: ClassVar[str] = "slack_webhook_url"
    advice: ClassVar[str] = "SLACK_WEBHOOK_URL"
    word: ClassVar[str] = "slack"

    slack_webhook_url: Annotated[SecretStr, AfterValidator(web_address)] = Field(
        SecretStr(""), description="Incoming webhook of Slack for alerts."
    )

    def secrets_of(self, address: str) -> Iterator[str]:
        """Yield the address, and the token that it ends with."""
        yield from secrets_of_webhook(address, ends_with_token=True)
