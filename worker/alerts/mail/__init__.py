"""Sends alerts by mail: plain text, by SMTP to the operator's server, encrypted unless the operator disables that."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Self, cast

from shared.alerts.channels.mail import Mail as MailSettings
from shared.alerts.channels.mail import recipients_in
from shared.alerts.destinations import Destination
from shared.alerts.model import Trial
from shared.links import Links
from shared.secrets.redactor import Redactor
from worker.alerts.content import Content
from worker.alerts.posting import TRY
from worker.alerts.seam import Answer, News, Verdict
from worker.alerts.text import LINE_CHARACTERS, cut, one_line
from worker.findings.finding import Finding, failure, ok, warning

TIMEOUT_SECONDS = 6  # for each answer of the server; all together take less than a sender's lease
LOG_LINES = 15
ASCII = policy.SMTP.clone(cte_type="7bit")  # every server accepts it
AUTOMATIC = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}  # prevents out-of-office replies


class Mail:
    """Recipients of mail, and the server that accepts it."""

    def __init__(self, settings: MailSettings, recipients: list[str], *, links: Links, redactor: Redactor) -> None:
        self._settings = settings
        self._recipients = recipients
        self._links = links
        self._redactor = redactor

    @classmethod
    def from_settings(cls, destination: Destination, *, links: Links, redactor: Redactor) -> Self:
        """Create the channel; all of this kind send by the same server."""
        settings = cast(MailSettings, destination.settings)
        return cls(settings, recipients_in(destination.address), links=links, redactor=redactor)

    @classmethod
    def check(cls, destination: Destination) -> Finding:
        """Tell the server sender and recipients, without sending anything."""
        subject, settings = f"alerts to {destination.name}", cast(MailSettings, destination.settings)
        try:
            with _session(settings) as session:
                _asked(session.mail(settings.mail_from))
                for each in recipients_in(destination.address):
                    _asked(session.rcpt(each))
        except (smtplib.SMTPException, OSError) as error:
            answer = judge(error)
            advice = (
                f"Check {settings.advice}, and that this host can reach it (firewall). Alerts wait for up to a day."
            )
            told = warning if answer.verdict is Verdict.LATER and _code(error) else failure
            return told(subject, f"the mail server does not take mail: {answer.cause}", advice)
        return ok(subject, f"the mail server takes mail for it. {TRY}")

    def send(self, news: News) -> Answer:
        """Send the alert. If it is sent again, it has the same Message-ID."""
        content = Content(news, links=self._links, redactor=self._redactor, shown=one_line)
        return self._mail(content.title, _body(content), news.alert.id, news.alert.at)

    def send_trial(self, trial: Trial) -> Answer:
        """Send a test message."""
        title = f"Test of the alert channel {trial.channel}"
        return self._mail(title, "It works: alerts about retraining jobs come here.\n", trial.id, trial.at)

    def _mail(self, title: str, body: str, message_id: str, at: datetime) -> Answer:
        message = EmailMessage(policy=ASCII)
        message["Subject"] = f"[retrain] {title}"
        message["From"], message["To"] = self._settings.mail_from, ", ".join(self._recipients)
        message["Date"] = format_datetime(at)
        message["Message-ID"] = f"<{message_id}@{self._settings.mail_from.rpartition('@')[2]}>"
        for name, value in AUTOMATIC.items():
            message[name] = value
        message.set_content(body)
        try:
            with _session(self._settings) as session:
                session.send_message(message)
        except (smtplib.SMTPException, OSError) as error:
            return judge(error)
        return Answer(Verdict.SENT)


def judge(error: smtplib.SMTPException | OSError) -> Answer:
    """Return what a failure means; its text may repeat what we sent, so only its number is kept."""
    code = _code(error)
    cause = f"SMTP {code}" if code else type(error).__name__
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Answer(Verdict.CLOSED, "the mail server offers no encryption, or no login")
    if code < 500:
        return Answer(Verdict.LATER, cause)
    return Answer(Verdict.REFUSED if isinstance(error, smtplib.SMTPDataError) else Verdict.CLOSED, cause)


def _code(error: smtplib.SMTPException | OSError) -> int:
    """Return the server's status code; 0 for none. Of several recipients, the mildest: it may succeed later."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else 0


@contextmanager
def _session(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    """Open a session, encrypted and logged in as the settings say."""
    host, port = settings.place
    context = ssl.create_default_context(cafile=settings.mail_ca_file)
    if settings.mail_security == "tls":
        session: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        session = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    try:
        if settings.mail_security == "starttls":
            session.starttls(context=context)
        if settings.mail_username:
            session.login(settings.mail_username, settings.mail_password.get_secret_value())
        yield session
        with suppress(smtplib.SMTPException, OSError):  # the mail is sent, however the session ends
            session.quit()
    finally:
        session.close()


def _asked(answer: tuple[int, bytes]) -> None:
    code, said = answer
    if code >= 300:
        raise smtplib.SMTPResponseException(code, said)


def _body(content: Content) -> str:
    told = [f"{label} {text}" if label else text for label, text in content.told()]
    fields = [f"{name}: {value.replace(chr(10), '; ')}" for name, value in content.fields() if value]
    pages = [f"{name}: {url}" for name, url in content.pages().items()]
    lines = [f"    {cut(line, LINE_CHARACTERS)}" for line in content.log_lines(LOG_LINES)]
    parts = [[content.title], told, lines, fields, pages, [content.origin]]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"
