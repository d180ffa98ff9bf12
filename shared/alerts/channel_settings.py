"""The settings of one kind of alert channel: the part of this seam that both the API and workers load.

The class that delivers belongs to the worker, and the API does not load it; docs/contributing/add-an-alert-channel.md.
"""

from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.environment_settings import EnvironmentSettings
from shared.secrets.addresses import secrets_of_webhook


class ChannelSettings(EnvironmentSettings):
    """Settings of one kind of channel, each an environment variable. Their names begin with the kind's."""

    delivered_by: ClassVar[str]  # module:Class, an AlertChannel of worker.alerts.seam
    switch: ClassVar[str]  # the field with the address for alerts of all jobs; empty for none
    advice: ClassVar[str]  # the variables to check when that address does not work
    word: ClassVar[str]  # for ALERT_WEBHOOKS: name=word:address
    example: ClassVar[str] = "https://…"  # of an address there

    @property
    def address(self) -> str:
        """The address for alerts of all jobs; empty for none."""
        value = getattr(self, self.switch)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    @classmethod
    def is_address(cls, text: str) -> bool:
        """Return whether the text is an address for alerts."""
        return is_web_address(text)

    def problem(self) -> str:
        """Return what is missing for a channel of this kind to work, with its variable; empty if nothing is."""
        return ""

    def secrets(self) -> Iterator[str]:
        """Yield the secrets that do not depend on the address."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr) and name != self.switch and value:
                yield value.get_secret_value()

    def secrets_of(self, address: str) -> Iterator[str]:
        """Yield the secrets in an address."""
        yield from secrets_of_webhook(address, ends_with_token=False)


def is_web_address(value: str) -> bool:
    """Return whether something can be posted there."""
    try:
        url = urlsplit(value)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)


def web_address(value: SecretStr) -> SecretStr:
    """Check a setting that is a webhook's address; the ValueError repeats nothing of it."""
    if value and not is_web_address(value.get_secret_value()):
        raise ValueError("must be a web address, such as https://…")
    return value
