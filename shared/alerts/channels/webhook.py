"""Settings of any other webhook: it receives JSON, for programs."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from shared.alerts.channel_settings import ChannelSettings, web_address


class Webhook(ChannelSettings):
    """Settings of webhooks that receive JSON."""

    delivered_by: ClassVar[str] = "worker.alerts.webhook.channel:Webhook"
    switch: ClassVar[str] = "alert_webhook_url"
    advice: ClassVar[str] = "ALERT_WEBHOOK_URL"
    word: ClassVar[str] = "json"

    alert_webhook_url: Annotated[SecretStr, AfterValidator(web_address)] = Field(
        SecretStr(""), description="Any other webhook: it receives alerts as JSON."
    )
    alert_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Signs the JSON that webhooks receive (HMAC-SHA256); empty for no signature."
    )
