"""The channels as the settings make them, and what a program gets of an alert."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.alerts.model import AlertEvent, Alerting, Trial
from shared.errors import ConfigurationError
from shared.secrets.redactor import Redactor
from shared.settings import Settings
from tests.support.alerting.records import AT, EXITED, JOB_ID, LINKS, RESULT, SHA, a_job, news
from worker.alerts.discord.channel import Discord
from worker.alerts.posting import Endpoint
from worker.alerts.registry import channels_of
from worker.alerts.seam import Answer, News, Verdict
from worker.alerts.webhook.channel import ID_HEADER, SIGNATURE_HEADER, Webhook

DISCORD_URL = "https://discord.example/api/webhooks/1/hunter2-token"
HOOK_URL = "https://hooks.example/retrain"


Posted = tuple[bytes, Mapping[str, str]]


@dataclass(frozen=True)
class RecordingEndpoint(Endpoint):
    """Notes what is posted to it."""

    posted: list[Posted] = field(default_factory=list)

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Note it."""
        self.posted.append((body, headers))
        return Answer(Verdict.SENT)


def _settings(**fields: Any) -> Settings:
    return Settings.load(_env_file=None, **fields)


def _post(told: News, *, key: str = "a key", secrets: tuple[str, ...] = ()) -> Posted:
    endpoint = RecordingEndpoint(HOOK_URL, {})
    Webhook(endpoint, secret=key, links=LINKS, redactor=Redactor(secrets)).send(told)
    [posted] = endpoint.posted
    return posted


def _signature(body: bytes) -> str:
    return hmac.new(b"a key", body, hashlib.sha256).hexdigest()


def test_a_program_gets_the_event_and_the_job() -> None:
    body, _ = _post(news(AlertEvent.SUCCEEDED))
    told = json.loads(body)
    assert (told["event"], told["attempt"]) == ("succeeded", 1)
    job = told["job"]
    assert (job["id"], job["commit_sha"], job["result"], job["reason"]) == (JOB_ID, SHA, RESULT, None)
    assert (job["host"], job["links"]["job"]) == ("gpu-1", f"https://retrain.example/jobs/{JOB_ID}")


def test_a_program_gets_the_reason_of_a_failure() -> None:
    body, _ = _post(news(AlertEvent.FAILED, job=a_job(reason=EXITED)))
    reason = json.loads(body)["job"]["reason"]
    assert reason == {"code": "NONZERO_EXIT", "type": "user_error", "message": EXITED.message}


def test_a_program_can_tell_a_test_message_and_check_its_signature() -> None:
    endpoint = RecordingEndpoint(HOOK_URL, {})
    trial = Trial("the-id", "ci", AT)
    Webhook(endpoint, secret="a key", links=LINKS, redactor=Redactor()).send_trial(trial)
    [(body, headers)] = endpoint.posted
    told = json.loads(body)
    assert (told["event"], told["job"], told["at"]) == ("test", None, AT.isoformat())
    assert set(told) == set(json.loads(_post(news(AlertEvent.STARTED))[0]))
    assert headers == {ID_HEADER: "the-id", SIGNATURE_HEADER: f"sha256={_signature(body)}"}


def test_the_body_is_signed_as_it_is_sent() -> None:
    body, headers = _post(news(AlertEvent.FAILED, job=a_job(reason=EXITED)))
    assert headers[SIGNATURE_HEADER] == f"sha256={_signature(body)}"


def test_without_a_secret_nothing_is_signed() -> None:
    _, headers = _post(news(AlertEvent.STARTED), key="")
    assert set(headers) == {ID_HEADER}


def test_an_alert_has_the_same_id_whenever_it_is_sent() -> None:
    ids = [_post(news(event, tries=tries))[1][ID_HEADER] for event in AlertEvent for tries in (1, 7)]
    assert len(set(ids)) == len(AlertEvent)


def test_a_program_gets_nothing_secret() -> None:
    secret = 'hunter2 "\u00e9\\'
    job = a_job(labels={"team": f"a {secret}"}, result={"metrics": {secret: 1.0}, "model_versions": [{"name": secret}]})
    told = json.loads(_post(news(AlertEvent.SUCCEEDED, job=job), secrets=(secret,))[0])["job"]
    assert (told["labels"], told["result"]["metrics"]) == ({"team": "a ***"}, {"***": 1.0})
    assert told["result"]["model_versions"] == [{"name": "***"}]


def test_only_the_channels_that_are_set_are_made_and_recorded_for() -> None:
    assert channels_of(_settings(), Redactor()) == {}
    assert _settings().alerting.channels == frozenset()
    both = _settings(discord_webhook_url=DISCORD_URL, alert_webhook_url=HOOK_URL)
    assert set(channels_of(both, Redactor())) == both.alerting.channels == {"discord", "webhook"}
    assert set(channels_of(_settings(webhook_url=DISCORD_URL), Redactor())) == {"discord"}


def test_named_webhooks_are_channels_of_their_own_and_no_defaults() -> None:
    named = _settings(alert_webhooks=f"team-a=discord:{DISCORD_URL}, ci=json:{HOOK_URL}?a=b&c=d,")
    channels = channels_of(named, Redactor())
    assert {name: type(channel) for name, channel in channels.items()} == {"team-a": Discord, "ci": Webhook}
    assert named.alert_channels == {"team-a", "ci"}
    assert named.alerting.channels == frozenset()
    assert _settings(webhook_url=DISCORD_URL, alert_webhooks=f"ci=json:{HOOK_URL}").alert_channels == {"discord", "ci"}


def test_what_is_told_can_be_chosen() -> None:
    assert _settings().alerting == Alerting(frozenset(AlertEvent) - {AlertEvent.ADOPTED})
    assert _settings(alert_events="failed, adopted").alerting.events == {AlertEvent.FAILED, AlertEvent.ADOPTED}
    with pytest.raises(ConfigurationError, match="ALERT_EVENTS"):
        _settings(alert_events="failed,weather")


@pytest.mark.parametrize(
    "field", [{"discord_thread_id": "1 or 2"}, {"webhook_url": "hunter2"}, {"alert_webhook_url": "ftp://hunter2"}]
)
def test_what_is_no_address_stops_the_start_and_is_not_shown(field: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _settings(**field)
    assert next(iter(field)).upper() in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_thread_is_asked_for_where_there_is_one() -> None:
    assert Discord.endpoint(DISCORD_URL, "").query == {"wait": "true"}
    assert Discord.endpoint(DISCORD_URL, "42").query == {"wait": "true", "thread_id": "42"}


@pytest.mark.parametrize("host", ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"])
def test_a_copied_address_is_used_under_the_version_whose_answers_are_understood(host: str) -> None:
    endpoint = Discord.endpoint(f"https://{host}/api/webhooks/1/api/webhooks/", "")
    assert endpoint.url == f"https://{host}/api/v10/webhooks/1/api/webhooks/"


@pytest.mark.parametrize("url", [DISCORD_URL, "https://discord.com/api/v9/webhooks/1/token"])
def test_an_address_of_another_host_or_with_a_version_stays_as_it_is(url: str) -> None:
    assert Discord.endpoint(url, "").url == url
