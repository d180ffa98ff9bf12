"""What every alert channel promises. A channel's test subclasses the contract, and says what is on the far side."""

import logging
from dataclasses import replace
from typing import Any, Protocol

import pytest

from shared.alerts.destinations import Destination
from shared.alerts.model import AlertEvent, Trial
from shared.errors import Code, FailureType
from shared.jobs.model import Job, Reason
from shared.jobs.promotions import Event
from shared.links import Links
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from tests.support.alerting.discord import Trouble
from tests.support.alerting.records import (
    AT,
    BETTER,
    DECISION,
    LINES,
    LINKS,
    RESULT,
    a_job,
    a_line,
    about_model,
    model_news,
    news,
)
from worker.alerts.registry import channel_class, channels_of
from worker.alerts.seam import AlertChannel, News, Verdict
from worker.doctor.alert_channels import check_alert_channels
from worker.findings.finding import Finding, State

SECRET = "hunter2"
HOSTILE = (
    "@everyone <@123> <!channel> <https://evil.example|click> [click](https://evil.example) & *b* `c` ```",
    "Subject: owned\r\nBcc: victim@evil.example\r\n\r\n.\r\nQUIT\r\n",
    "\x1b[31mred\x1b[0m \u202egnirts \x00 \ud800 ```",
    "\U0001f600" * 5000,
    "<&>" * 5000,
    "x" * 20_000,
    "\n" * 3000,
    "",
)


class FarSide(Protocol):
    """A stand-in for where a channel delivers: it holds messages to the documented limits, and fails as a test says."""

    settings: dict[str, Any]  # that lead there; what is secret in them holds SECRET
    trouble: Trouble
    is_gone: bool  # the place was deleted, or does not let us in any more

    def texts(self) -> list[str]:
        """Return what it took, each message as text."""

    def close(self) -> None:
        """Go away."""


class AlertChannelContract:
    """Subclasses have a fixture ``far_side`` that starts one, and closes it."""

    def test_an_alert_arrives_with_what_helps(self, far_side: FarSide) -> None:
        reason = Reason(Code.NONZERO_EXIT, FailureType.USER_ERROR, "Training ended with exit code 1.")
        answer = channel(far_side).send(news(AlertEvent.FAILED, job=a_job(reason=reason), output="last line\n"))
        assert answer.verdict is Verdict.SENT
        [text] = far_side.texts()
        for part in ("iris", "digits", "NONZERO_EXIT", "exit code 1", "96d46092"):
            assert part in text.replace("\\", "")

    def test_a_job_that_a_trigger_fired_names_it(self, far_side: FarSide) -> None:
        channel(far_side).send(news(AlertEvent.FAILED, job=a_job(trigger_name="iris-nightly")))
        [text] = far_side.texts()
        assert "iris-nightly" in text.replace("\\", "")

    def test_each_event_is_taken(self, far_side: FarSide) -> None:
        made = channel(far_side)
        sent = [made.send(news(event)).verdict for event in AlertEvent]
        assert sent == [Verdict.SENT] * len(AlertEvent)
        assert len(set(far_side.texts())) == len(AlertEvent)

    def test_a_test_message_arrives_with_the_channels_name(self, far_side: FarSide) -> None:
        assert channel(far_side).send_trial(Trial("the-id", destination(far_side).name, AT)).verdict is Verdict.SENT
        [text] = far_side.texts()
        assert "test" in text.lower()

    def test_a_place_that_is_gone_closes_the_channel(self, far_side: FarSide) -> None:
        far_side.is_gone = True
        answer = channel(far_side).send(news(AlertEvent.STARTED))
        assert (answer.verdict, far_side.texts()) == (Verdict.CLOSED, [])

    @pytest.mark.parametrize("trouble", [Trouble.TOO_MANY, Trouble.BROKEN, Trouble.CUT])
    def test_trouble_over_there_is_worth_another_try(self, far_side: FarSide, trouble: Trouble) -> None:
        far_side.trouble = trouble
        assert channel(far_side).send(news(AlertEvent.STARTED)).verdict is Verdict.LATER
        far_side.trouble = Trouble.NONE
        assert channel(far_side).send(news(AlertEvent.STARTED)).verdict is Verdict.SENT
        assert len(far_side.texts()) == 1

    def test_who_does_not_answer_is_asked_again_later(self, far_side: FarSide) -> None:
        far_side.close()
        assert channel(far_side).send(news(AlertEvent.STARTED)).verdict is Verdict.LATER

    @pytest.mark.parametrize("text", HOSTILE)
    def test_whatever_users_and_trainings_write_is_taken_within_the_limits(self, far_side: FarSide, text: str) -> None:
        made = channel(far_side)
        for event in AlertEvent:
            answer = made.send(hostile_news(text, event))
            assert answer.verdict is Verdict.SENT, answer

    def test_no_secret_of_ours_or_of_the_job_gets_out(
        self, far_side: FarSide, caplog: pytest.LogCaptureFixture
    ) -> None:
        secrets = list(loaded(far_side).destinations.secrets())
        assert any(SECRET in secret for secret in secrets)
        made, told = channel(far_side), " ".join(secrets)
        with caplog.at_level(logging.DEBUG, logger="worker"):
            for event in AlertEvent:
                made.send(hostile_news(told, event))
            far_side.is_gone = True
            refused = channel(far_side).send(news(AlertEvent.STARTED))
            far_side.close()
            away = channel(far_side).send(news(AlertEvent.STARTED))
        assert SECRET not in "".join(far_side.texts())
        assert SECRET not in f"{refused.cause} {away.cause} {[vars(line) for line in caplog.records]}"

    def test_the_doctor_finds_it_well_and_sends_nothing(self, far_side: FarSide) -> None:
        found = checked(far_side)
        assert (found.subject, found.state) == (f"alerts to {destination(far_side).name}", State.OK)
        assert far_side.texts() == []

    def test_the_doctor_names_a_place_that_is_away_and_its_setting_without_a_secret(self, far_side: FarSide) -> None:
        far_side.close()
        found = checked(far_side)
        assert found.state is State.FAILURE
        assert any(name in found.advice for name in destination(far_side).settings.advice.split())
        assert SECRET not in f"{found}"


def loaded(far_side: FarSide) -> Settings:
    return Settings.load(_env_file=None, **far_side.settings)


def destination(far_side: FarSide) -> Destination:
    [found] = loaded(far_side).destinations.by_name.values()
    return found


def channel(far_side: FarSide, links: Links = LINKS) -> AlertChannel:
    """As a worker makes it, but for the links."""
    settings = loaded(far_side)
    assert set(channels_of(settings, Redactor())) == {destination(far_side).name}
    place, redactor = destination(far_side), Redactor(settings.destinations.secrets())
    return channel_class(place).from_settings(place, links=links, redactor=redactor)


def checked(far_side: FarSide) -> Finding:
    [found] = check_alert_channels(loaded(far_side))
    return found


def hostile_news(text: str, event: AlertEvent) -> News:
    """An alert about a job or a model that says this wherever people and trainings may say something."""
    job = hostile_job(text, event)
    if event not in LINES:
        return news(event, job=job, output=f"{text}\n" * 3)
    line = replace(a_line(LINES[event], text), reason=text, actor=text)
    decision = {**BETTER, "reason": text, "metric": text, "challenger": text}
    told = replace(about_model(line, decision=decision), approval=replace(line, event=Event.APPROVED))
    return model_news(told, job=job)


def hostile_job(text: str, event: AlertEvent) -> Job:
    """A job that says this wherever users and trainings may say something."""
    reason = Reason(Code.INTERNAL, FailureType.INTERNAL, text)
    named = {"name": text, "version": text}
    decision = {**DECISION, "reason": text, "metric": text}
    result = {**RESULT, "metrics": {text: 1.0}, "model_versions": [named], "decision": decision}
    failed = event in (AlertEvent.FAILED, AlertEvent.RETRYING)
    request = {"commit_hash": text}
    return a_job(
        experiment_name=text, model_name=text, request=request, result=result, reason=reason if failed else None
    )
