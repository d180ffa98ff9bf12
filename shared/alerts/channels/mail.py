"""Settings of mail: the SMTP server, the sender and the recipients."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from shared.alerts.channel_settings import ChannelSettings

# As long as RFC 5321 lets its parts be: a search through a long text ends soon.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
PORTS = {"starttls": 587, "tls": 465, "none": 25}


def recipients_in(text: str) -> list[str]:
    """Return the addresses in a list, which may be empty."""
    return [each.strip() for each in re.split("[,;]", text) if each.strip()]


def _addresses(value: str) -> str:
    if all(ADDRESS.fullmatch(each) for each in recipients_in(value)):
        return value
    raise ValueError("must be mail addresses, comma separated, such as team@example.com")


class Mail(ChannelSettings):
    """Settings of the mail channel."""

    delivered_by: ClassVar[str] = "worker.alerts.mail:Mail"
    switch: ClassVar[str] = "mail_to"
    advice: ClassVar[str] = "MAIL_SERVER, MAIL_USERNAME, MAIL_PASSWORD, MAIL_FROM and MAIL_TO"
    word: ClassVar[str] = "mail"
    example: ClassVar[str] = "team@example.com"

    mail_to: Annotated[str, AfterValidator(_addresses)] = Field(
        "", description="Recipients of alerts by mail, comma separated; empty for none."
    )
    mail_from: str = Field("", pattern=rf"^({ADDRESS.pattern})?$", description="Sender of alerts by mail.")
    mail_server: str = Field(
        "", pattern=r"^([A-Za-z0-9._-]+(:[0-9]{1,5})?)?$", description="SMTP server, as host or host:port."
    )
    mail_security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls (port 587), tls (port 465), or none (port 25): the mail is not encrypted.",
    )
    mail_username: str = Field("", description="User of the SMTP server; empty to send without a login.")
    mail_password: SecretStr = Field(SecretStr(""), description="Password of the SMTP server.")
    mail_ca_file: Path | None = Field(
        None, description="Certificates that the SMTP server's is checked by; empty for those of the system."
    )

    @property
    def place(self) -> tuple[str, int]:
        """The server's host and port."""
        host, _, port = self.mail_server.partition(":")
        return host, int(port or PORTS[self.mail_security])

    @classmethod
    def is_address(cls, text: str) -> bool:
        """Return whether it is a mail address, or several separated by semicolons."""
        found = recipients_in(text)
        return bool(found) and all(ADDRESS.fullmatch(each) for each in found)

    def problem(self) -> str:
        """Return what is missing for mail to be sent."""
        if not (self.mail_server and self.mail_from):
            return f"{'MAIL_FROM' if self.mail_server else 'MAIL_SERVER'}: is needed for alerts by mail"
        if self.mail_security == "none" and self.mail_username:
            return "MAIL_SECURITY: must be starttls or tls with a MAIL_USERNAME: no password is sent unencrypted"
        return ""

    def secrets_of(self, address: str) -> Iterator[str]:
        """Yield nothing: recipients are not secret."""
        yield from ()
