"""Settings of Discord: a webhook, and optionally a thread of its channel."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AliasChoices, Field, SecretStr

from shared.alerts.channel_settings import ChannelSettings, web_address
from shared.secrets.addresses import secrets_of_webhook


class Discord(ChannelSettings):
    """Settings of the Discord channel."""

    delivered_by: ClassVar[str] = "worker.alerts.discord.channel:Discord"
    switch: ClassVar[str] = "discord_webhook_url"
    advice: ClassVar[str] = "DISCORD_WEBHOOK_URL and DISCORD_THREAD_ID"
    word: ClassVar[str] = "discord"

    discord_webhook_url: Annotated[SecretStr, AfterValidator(web_address)] = Field(
        SecretStr(""),
        validation_alias=AliasChoices("discord_webhook_url", "webhook_url"),
        description="Discord webhook for alerts (the predecessor's name webhook_url works, too).",
    )
    discord_thread_id: str = Field(
        "", pattern=r"^[0-9]{0,20}$", description="Thread of the Discord channel; empty for the channel itself."
    )

    def secrets_of(self, address: str) -> Iterator[str]:
        """Yield the address, and the token that it ends with."""
        yield from secrets_of_webhook(address, ends_with_token=True)
