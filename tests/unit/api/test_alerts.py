"""POST /alerts/test, what becomes of a test message; GET /alerts, what was told to whom."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, new_token
from shared.alerts.model import AlertEvent, Alerting
from shared.scheduling.limits import Limits
from shared.secrets.vault import Vault
from shared.settings import Settings
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import MemoryStore
from tests.support.jobs import running
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


def _channels(api: Api) -> Asking:
    """It reads settings only; the store is asked for who sends a token."""

    def as_ann() -> TestResponse:
        return api.client().get("/alerts/channels", headers={"Authorization": f"Bearer {new_token()}"})

    def broken() -> TestResponse:
        api.monkeypatch.setattr("api.views.alerts.Channels", lambda **_values: 1 / 0)
        return api.client().get("/alerts/channels")

    def without_store() -> TestResponse:
        api.store.down = True
        return as_ann()

    return Asking("/alerts/channels", others={"500": broken, "503": without_store})


DOCUMENTED: Documented = {
    "POST /alerts/test": _test_alerts,
    "GET /alerts": lambda _api: Asking("/alerts"),
    "GET /alerts/channels": _channels,
}


@pytest.fixture
def telling() -> MemoryStore:
    """A store that records alerts, for two channels."""
    return MemoryStore(limits=Limits(per_key=9), alerting=Alerting(frozenset(AlertEvent), frozenset({"ci", "discord"})))


def asked(client: FlaskClient, address: str = "/alerts", **given: Any) -> dict[str, Any]:
    answer = client.get(address, **given)
    assert answer.status_code == 200, answer.text
    return answer.json or {}


def client_of(store: MemoryStore, tmp_path: Path, **settings: Any) -> FlaskClient:
    loaded = Settings.load(_env_file=None, data_dir=tmp_path, **{"api_tokens": (), **settings})
    return create_app(loaded, store=store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key())).test_client()


def test_what_was_told_is_listed_with_what_became_of_it(telling: MemoryStore, tmp_path: Path) -> None:
    job = running(telling, model_name="iris").job.id
    alert = telling.take_alert({"ci"}, lease_seconds=60)
    assert alert is not None
    telling.alert_failed(alert, retry_in_seconds=None, cause="HTTP 404")
    over, waiting = asked(client_of(telling, tmp_path))["alerts"][::-1]
    assert over["id"] == f"{job}-1-started"
    told = {name: over[name] for name in ("job_id", "attempt", "event", "channel", "state", "tries", "cause", "model")}
    assert told == {
        "job_id": job,
        "attempt": 1,
        "event": "started",
        "channel": "ci",
        "state": "given_up",
        "tries": 1,
        "cause": "HTTP 404",
        "model": "iris",
    }
    assert (over["next_try_at"], waiting["state"], waiting["cause"]) == (None, "waiting", None)
    assert waiting["next_try_at"] == waiting["at"]


def test_pages_of_alerts_are_followed_to_the_end(telling: MemoryStore, tmp_path: Path) -> None:
    client, found, following = client_of(telling, tmp_path), list[str](), "/alerts?limit=2&state=waiting"
    for _ in range(3):
        running(telling)
    while following:
        page = asked(client, following)
        found += [f"{each['id']} {each['channel']}" for each in page["alerts"]]
        following = page["next"]
    assert len(found) == len(set(found)) == 6


@pytest.mark.parametrize(
    "wrong", ["cursor=x", "cursor=WyIyMDMwIiwgMV0", "cursor=bnVsbA", "state=lost", "limit=0", "to=ci"]
)
def test_a_wrong_query_is_refused(client: FlaskClient, wrong: str) -> None:
    assert client.get(f"/alerts?{wrong}").status_code == 422


def test_an_isolated_team_sees_what_is_told_of_its_own(telling: MemoryStore, tmp_path: Path) -> None:
    running(telling, team="vision", model_name="mine")
    running(telling, team="speech", model_name="theirs")
    token = new_token()
    new = NewToken(name="ann", hash=hash_of(token), hint="art_", roles=frozenset({Role.VIEWER}), created_by="env-1")
    telling.create_token(replace(new, team="vision"))
    client, headers = client_of(telling, tmp_path, teams_isolated=True), {"Authorization": f"Bearer {token}"}
    assert {each["model"] for each in asked(client, headers=headers)["alerts"]} == {"mine"}
    assert asked(client, "/alerts?model=theirs", headers=headers)["alerts"] == []


def test_channels_are_listed_without_their_addresses(client: FlaskClient) -> None:
    found = asked(client, "/alerts/channels")
    assert found["channels"] == [
        {"name": "ci", "kind": "discord", "is_default": False},
        {"name": "discord", "kind": "discord", "is_default": True},
        {"name": "team-a", "kind": "webhook", "is_default": False},
    ]
    assert "failed" in found["events"]
    assert "hooks.example" not in str(found)
