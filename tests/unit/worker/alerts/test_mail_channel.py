"""Mail keeps the contract of alert channels, before a server that refuses what real ones refuse."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.alerts.model import AlertEvent
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.support.alerting.channel_contract import HOSTILE, AlertChannelContract, channel, checked, hostile_job
from tests.support.alerting.records import news
from tests.support.alerting.smtp_server import PASSWORD, USER, SmtpServer, problems_of
from worker.alerts.seam import Verdict
from worker.findings.finding import State

TO = "team@example.com, boss@example.com"


class MailSide(SmtpServer):
    """The server, as the contract asks for it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self.settings: dict[str, Any] = {
            "mail_to": TO,
            "mail_from": "retrain@example.com",
            "mail_server": self.address,
            "mail_security": "tls" if self.is_implicit else "starttls",
            "mail_username": USER,
            "mail_password": PASSWORD,
            "mail_ca_file": self.ca_file,
        }

    def texts(self) -> list[str]:
        """Return the mails that it took, as people read them."""
        return [f"{each['Subject']}\n{each.get_content()}" for each in self.messages]


class TestMail(AlertChannelContract):
    """The contract, on mail."""

    @pytest.fixture(params=[False, True], ids=["starttls", "tls"])
    def far_side(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MailSide]:
        """A mail server."""
        server = MailSide(tmp_path, is_implicit=request.param)
        yield server
        server.close()

    @pytest.mark.parametrize("text", HOSTILE[1:3])
    def test_nothing_that_users_write_becomes_a_header(self, far_side: MailSide, text: str) -> None:
        made = channel(far_side)
        for event in AlertEvent:
            made.send(news(event, job=hostile_job(text, event), output=text))
        names = {"Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress"}
        names |= {"Content-Type", "Content-Transfer-Encoding", "MIME-Version"}
        assert [{*each.keys()} ^ names for each in far_side.messages] == [set()] * len(AlertEvent)
        assert {each["To"] for each in far_side.messages} == {TO}

    def test_an_alert_that_comes_again_has_the_same_id(self, far_side: MailSide) -> None:
        for tries in (1, 2):
            channel(far_side).send(news(AlertEvent.STARTED, tries=tries))
        assert len({each["Message-ID"] for each in far_side.messages}) == 1

    @pytest.mark.parametrize(
        ("changed", "verdict"),
        [
            ({"mail_from": "other@elsewhere.example"}, Verdict.CLOSED),
            ({"mail_to": "nobody@elsewhere.example"}, Verdict.CLOSED),
            ({"mail_to": "team@example.com,nobody@elsewhere.example"}, Verdict.SENT),
            ({"mail_username": ""}, Verdict.CLOSED),
            ({"mail_ca_file": None}, Verdict.LATER),  # it shows another certificate than ours
        ],
    )
    def test_what_the_server_does_not_let_through_is_told_apart(
        self, far_side: MailSide, changed: dict[str, Any], verdict: Verdict
    ) -> None:
        far_side.settings |= changed
        assert channel(far_side).send(news(AlertEvent.STARTED)).verdict is verdict
        assert len(far_side.messages) == (verdict is Verdict.SENT)

    def test_the_doctor_names_a_recipient_whom_the_server_does_not_know(self, far_side: MailSide) -> None:
        far_side.settings["mail_to"] = "nobody@elsewhere.example"
        found = checked(far_side)
        assert (found.state, "SMTP 550" in found.seen) == (State.FAILURE, True)


def test_nothing_is_sent_unencrypted_where_encryption_was_asked_for(tmp_path: Path) -> None:
    server = MailSide(tmp_path, offers_tls=False)
    answer = channel(server).send(news(AlertEvent.STARTED))
    server.close()
    assert (answer.verdict, server.messages) == (Verdict.CLOSED, [])


def test_a_named_channel_has_recipients_of_its_own() -> None:
    named = {
        "alert_webhooks": "ops=mail:a@example.com;b@example.com",
        "mail_server": "mail",
        "mail_from": "r@x.example",
    }
    found = Settings.load(_env_file=None, **named).destinations
    assert (found.by_name["ops"].address, found.defaults) == ("a@example.com;b@example.com", frozenset())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mail_to": "team@example.com"}, "MAIL_SERVER: is needed"),
        ({"mail_to": "team@example.com", "mail_server": "mail"}, "MAIL_FROM: is needed"),
        ({"mail_to": "team@example.com\r\nBcc: x@y"}, "MAIL_TO: .*must be mail addresses"),
        ({"mail_from": "no address"}, "MAIL_FROM: "),
        ({"alert_webhooks": "ops=mail:hunter2"}, "name=mail:team@example.com"),
        (
            {"mail_to": "a@b", "mail_server": "m", "mail_from": "a@b", "mail_security": "none", "mail_username": "u"},
            "no password is sent unencrypted",
        ),
    ],
)
def test_settings_that_cannot_work_stop_the_start(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Settings.load(_env_file=None, **fields)
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"Subject: a\nb", "bare"), (b"x" * 999, "too long"), (b"\xc3", "8 bits"), (b"Bcc: a\r\n\r\n", "Bcc")],
)
def test_the_stand_in_takes_nothing_that_a_mail_server_would_not(data: bytes, problem: str) -> None:
    assert problem in " ".join(problems_of(data))
