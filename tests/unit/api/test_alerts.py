"""POST /alerts/test: what becomes of a test message, told while the caller waits."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.fakes.store import MemoryStore
from tests.support.servers.alert_workers import AnsweringChannel, alert_worker
from tests.unit.api.documented import Api, Asking, Documented
from tests.unit.conftest import HOST, MakeApp
from worker.alerts.seam import Answer, Verdict

NAMED = "team-a=json:https://hooks.example/hunter2,ci=discord:https://hooks.example/hunter3"
DEFAULT = "https://hooks.example/hunter4"
GONE = Answer(Verdict.CLOSED, "HTTP 404, code 10015")


@pytest.fixture
def client(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """An API with a default channel and two named ones; it waits for a moment only."""
    monkeypatch.setattr("api.live.long_poll.POLL_SECONDS", 0.01)
    monkeypatch.setattr("api.alert_trials.TRIAL_SECONDS", 0.2)
    monkeypatch.setattr("api.alert_trials.ANSWER_SECONDS", 0.2)
    app = make_app(alert_webhooks=NAMED, discord_webhook_url=DEFAULT)
    yield app.test_client()
    app.extensions["retrain"].long_poll.stop()


def outcomes(client: FlaskClient, **body: Any) -> list[tuple[str, str, str]]:
    answer = client.post("/alerts/test", json=body)
    assert answer.status_code == 200, answer.text
    assert "hunter" not in answer.text
    assert answer.json
    return [(each["channel"], each["outcome"], each["cause"]) for each in answer.json["results"]]


def test_a_worker_sends_it_to_the_channels_that_were_named(
    client: FlaskClient, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.alert_trials.TRIAL_SECONDS", 30)
    monkeypatch.setattr("api.alert_trials.ANSWER_SECONDS", 30)
    channels = {"team-a": AnsweringChannel(), "ci": AnsweringChannel(GONE), "discord": AnsweringChannel()}
    with alert_worker(store, channels):
        found = outcomes(client, to=["ci", "team-a"])
        assert found == [
            ("ci", "refused", "HTTP 404, code 10015; check ci in ALERT_WEBHOOKS"),
            ("team-a", "sent", ""),
        ]
        assert outcomes(client) == [("discord", "sent", "")]
    assert [len(channel.trials) for channel in channels.values()] == [1, 1, 1]


def test_without_a_live_worker_that_is_told_at_once_and_nothing_is_left_to_be_sent(
    client: FlaskClient, store: MemoryStore
) -> None:
    assert outcomes(client) == [("discord", "no_worker", "no worker is alive")]
    assert store.take_trial({"discord"}) is None


def test_a_worker_that_does_not_take_it_or_does_not_say_what_became_of_it_is_told(
    client: FlaskClient, store: MemoryStore
) -> None:
    store.beat(HOST, gap_seconds=60)
    [(_, outcome, cause)] = outcomes(client)
    assert outcome == "no_answer"
    assert cause.startswith("no worker took it")
    done, asked = Event(), Thread(target=lambda: take_when_asked(store, done.is_set))
    asked.start()
    [(_, outcome, cause)] = outcomes(client, to=["ci"])
    done.set()
    asked.join(10)
    assert outcome == "no_answer"
    assert cause.startswith("a worker took it")


def take_when_asked(store: MemoryStore, is_done: Callable[[], bool]) -> None:
    while not store.take_trial({"ci"}) and not is_done():
        pass


def test_a_name_that_is_unknown_is_refused(client: FlaskClient) -> None:
    answer = client.post("/alerts/test", json={"to": ["team-b"]})
    assert answer.status_code == 422
    assert answer.json
    [error] = answer.json["errors"]
    assert error["pointer"] == "/to"
    assert error["message"] == "to names no alert channel of this service: team-b; known are ci, discord, team-a"


@pytest.mark.parametrize(
    ("settings", "advice"), [({}, "set DISCORD_WEBHOOK_URL"), ({"alert_webhooks": NAMED}, "name one of ci, team-a")]
)
def test_without_a_channel_it_says_how_to_get_one(make_app: MakeApp, settings: dict[str, str], advice: str) -> None:
    answer = make_app(**settings).test_client().post("/alerts/test")
    assert answer.status_code == 409
    assert answer.json
    assert answer.json["code"] == "NO_ALERT_CHANNEL"
    assert advice in answer.json["detail"]


def _test_alerts(api: Api) -> Asking:
    others = {"409": lambda: api.client().post("/alerts/test")}
    return Asking("/alerts/test", settings={"discord_webhook_url": DEFAULT}, others=others)


DOCUMENTED: Documented = {"POST /alerts/test": _test_alerts}
